"""A durable task hub in one SQLite file, on one event loop.

Everything that can change is in memory and is changed there at once, by plain calls on the event loop. A commit writes
all that has changed since the last one, in one transaction; so the file always holds a state that memory once had as a
whole. What leaves the engine waits for the commit that makes it durable: the answer to a client, the start of an
activity. A turn of an orchestrator is a replay without effects, so it may run on results that are not yet on disk.

How a step goes: an activity ends, its result enters the instance's inbox (`Instances.deliver`), `Turns` runs a turn
once nothing more for it is about to come, `apply_turn` extends the history by what the turn took in and what came of
it, `Commits` writes, and the activities that the turn asked for are handed to `Activities`. One commit a step.

The parts, each a module:

- `instance`: one orchestration in memory; `instances`: all that are active, loaded and let go as needed
- `events`, `outstanding`: the protocol's history events, and what a history still waits for
- `turns`: when a turn runs; `actions`: what comes of it; `lifecycle`: how instances begin and end
- `activities`, `strays`, `timers`: what an orchestrator waits for, or did
- `pulse`, `commits`: passes of the event loop, and when a commit is due; `schema`, `journal`: the file
- `recovery`: taking up what the file holds
- `engine`: the parts put together; `service`: the client's half of the protocol over it

Where more plugs in:

- A part with tables of its own is a `commits.Part`: it notes what has changed, calls `Commits.changed`, and writes it
  in `write`, in the same transaction as everything else. Its tables belong into `schema`. `Commits.after` calls back
  once all that has changed until then is on disk: that is how effects are handed out.
- Entities are an `entity_port.EntityPort`: `actions` hands them what orchestrators send, they answer with
  `Instances.deliver`.
- `Endpoint` takes any number of objects with methods of the protocol (`embedded`): what is not in `service` goes into
  one beside it.
- Management (query, purge, rewind, restart) works on `Instances`, and reads the file through `Commits.connection` after
  `Commits.settled()`: outside a commit the connection holds no transaction, so what it reads is on disk.
"""

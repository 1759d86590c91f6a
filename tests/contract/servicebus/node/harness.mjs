/**
 * What an operation of the smoke is, and what each one is given: the client, and entities of its own.
 *
 * Operations run side by side on one connection of the client, each bounded in time. Retries are off, so that errors
 * show as the service first says them.
 */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { ServiceBusAdministrationClient, ServiceBusClient } from "@azure/service-bus";

/** Long enough for a loaded machine, short enough for an operation that fails. Milliseconds, as everywhere here. */
export const PATIENCE = 15_000;
/** How long nothing has to come for it to count as nothing. */
export const QUIET = 500;

const OPERATION_LIMIT = 45_000;
const SIDE_BY_SIDE = 16;

const operations = [];

/**
 * Add an operation: `name` is the guarantee it shows, `run` is given a `Bench` and throws when it does not hold. The
 * test suite reads the names out of the text: a call begins its line, and the name stands in it between double quotes.
 */
export function operation(name, run) {
  operations.push({ name, run });
}

/** Run every operation; `report` is called with `{name, ok, error, ms}` as each of them ends. */
export async function runAll({ connection, administration, only, report }) {
  const client = newClient(connection);
  const manager = administrationClient(administration ?? connection);
  const waiting = operations.filter(({ name }) => only === undefined || name.includes(only));
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      report(await runOne(next, client, manager, connection));
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  await within(PATIENCE, client.close());
}

function newClient(connection, timeoutInMs = PATIENCE) {
  return new ServiceBusClient(connection, { retryOptions: { maxRetries: 0, timeoutInMs } });
}

async function runOne({ name, run }, client, manager, connection) {
  const bench = new Bench(client, manager, connection);
  const started = Date.now();
  let failure;
  try {
    await within(OPERATION_LIMIT, run(bench));
  } catch (error) {
    failure = error;
  }
  try {
    await within(OPERATION_LIMIT, bench.close());
  } catch (error) {
    failure ??= error;
  }
  return { name, ok: failure === undefined, error: failure && describe(failure), ms: Date.now() - started };
}

function describe(error) {
  return [error.code, error.stack ?? String(error)].filter(Boolean).join(": ");
}

/** Reject when `promise` takes longer. */
export async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Wait until an instant of this machine's clock, for what is about time itself. */
export function until(when) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, when - Date.now())));
}

/** Call `probe` until what it returns is true of `condition`; return that. */
export async function eventually(probe, condition) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const value = await probe();
    if (condition(value)) return value;
    assert.ok(Date.now() < deadline, `still ${JSON.stringify(value)} after ${PATIENCE} ms`);
    await until(Date.now() + 50);
  }
}

/**
 * The client for entities. It makes `https` of whatever the connection string says; with `http://` in it, as an
 * emulator without TLS needs, a policy makes it plain again.
 */
function administrationClient(connection) {
  const client = new ServiceBusAdministrationClient(connection, { retryOptions: { maxRetries: 0 } });
  if (/Endpoint=http:/i.test(connection)) client.pipeline.addPolicy(plainHttp);
  return client;
}

const plainHttp = {
  name: "plainHttp",
  sendRequest(request, next) {
    request.url = request.url.replace(/^https:/, "http:");
    request.allowInsecureConnection = true;
    return next(request);
  },
};

/** One operation's clients and entities; whatever it makes or opens is removed and closed at its end. */
class Bench {
  #connection;
  #ends = [];

  constructor(client, administration, connection) {
    this.client = client;
    this.administration = administration;
    this.#connection = connection;
  }

  /** A name nobody else uses. */
  name(kind) {
    return `smoke-${kind}-${randomUUID()}`;
  }

  /** Do this at the end, before what was asked for earlier. */
  atEnd(action) {
    this.#ends.push(action);
  }

  /** Close this at the end. */
  opened(closable) {
    this.atEnd(() => closable.close());
    return closable;
  }

  /** A client with a connection of its own, that waits so long for an answer. */
  ownClient(timeoutInMs) {
    return this.opened(newClient(this.#connection, timeoutInMs));
  }

  /** Make a queue with these options of the administration client; its name. */
  async queue(options = {}) {
    const name = this.name("queue");
    await this.administration.createQueue(name, options);
    this.atEnd(() => this.administration.deleteQueue(name));
    return name;
  }

  /** Make a topic; its name. */
  async topic(options = {}) {
    const name = this.name("topic");
    await this.administration.createTopic(name, options);
    this.atEnd(() => this.administration.deleteTopic(name));
    return name;
  }

  /** A queue of its own, with a sender to it and a receiver from it. */
  async lane(options = {}) {
    const queue = await this.queue(options);
    return { queue, sender: this.sender(queue), receiver: this.receiver(queue) };
  }

  /** A sender to a queue or topic. */
  sender(entity) {
    return this.opened(this.client.createSender(entity));
  }

  /** A receiver; the arguments are those of the client's `createReceiver`. It renews no locks by itself. */
  receiver(...where) {
    const options = typeof where.at(-1) === "object" ? where.pop() : {};
    return this.opened(this.client.createReceiver(...where, { maxAutoLockRenewalDurationInMs: 0, ...options }));
  }

  /** A receiver of a queue's, or a subscription's, dead-letter queue. */
  deadLetters(...where) {
    return this.receiver(...where, { subQueueType: "deadLetter" });
  }

  async close() {
    for (const action of this.#ends.reverse()) await action();
  }
}

/** Exactly `count` messages, however many calls they take. */
export async function receive(receiver, count = 1) {
  const found = [];
  while (found.length < count) {
    const more = await receiver.receiveMessages(count - found.length, { maxWaitTimeInMs: PATIENCE });
    assert.ok(more.length > 0, `only ${found.length} of ${count} messages came`);
    found.push(...more);
  }
  return found;
}

/** The next message. */
export async function receiveOne(receiver) {
  const [message] = await receive(receiver);
  return message;
}

/** The next messages, completed. */
export async function take(receiver, count = 1) {
  const found = await receive(receiver, count);
  for (const message of found) await receiver.completeMessage(message);
  return found;
}

/** The next message, completed. */
export async function takeOne(receiver) {
  const [message] = await take(receiver);
  return message;
}

/** Nothing can be received. */
export async function assertQuiet(receiver) {
  assert.deepEqual(bodies(await receiver.receiveMessages(1, { maxWaitTimeInMs: QUIET })), []);
}

/** What messages say. */
export function bodies(messages) {
  return messages.map((message) => message.body);
}

/** What an entity still holds, from its first message on; a receiver that peeked before would go on behind it. */
export function left(bench, ...where) {
  return bench.receiver(...where).peekMessages(100);
}

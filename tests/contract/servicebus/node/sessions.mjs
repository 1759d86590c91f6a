/** Sessions: whoever accepts one gets its messages, in order and alone, and keeps a state with it. */

import assert from "node:assert/strict";
import {
  PATIENCE,
  assertQuiet,
  bodies,
  eventually,
  operation,
  receive,
  receiveOne,
  take,
  takeOne,
  until,
} from "./harness.mjs";

async function sessionQueue(bench, options = {}) {
  const queue = await bench.queue({ requiresSession: true, ...options });
  return { queue, sender: bench.sender(queue), accept: (id) => acceptSession(bench, queue, id) };
}

async function acceptSession(bench, queue, id) {
  const options = { maxAutoLockRenewalDurationInMs: 0 };
  const { client } = bench;
  const accepted = id === undefined ? client.acceptNextSession(queue, options) : client.acceptSession(queue, id, options);
  return bench.opened(await accepted);
}

operation("a session is accepted by its name and gives its own messages in order", async (bench) => {
  const { sender, accept } = await sessionQueue(bench);
  await sender.sendMessages(["a", "b", "a", "b"].map((sessionId, body) => ({ body, sessionId })));
  const session = await accept("b");
  const found = await take(session, 2);
  assert.deepEqual([session.sessionId, bodies(found)], ["b", [1, 3]]);
  assert.equal(found[0].sessionId, "b");
  await assertQuiet(session);
});

operation("the next session is one that has messages and is free", async (bench) => {
  const { sender, accept } = await sessionQueue(bench);
  await sender.sendMessages(["a", "b"].map((sessionId) => ({ body: sessionId, sessionId })));
  const [first, second] = [await accept(), await accept()];
  assert.deepEqual([first.sessionId, second.sessionId].sort(), ["a", "b"]);
  assert.equal((await takeOne(first)).body, first.sessionId);
});

operation("asking for the next session waits for one to come", async (bench) => {
  const { sender, accept } = await sessionQueue(bench);
  const waiting = accept();
  await sender.sendMessages({ body: "m", sessionId: "late" });
  assert.equal((await waiting).sessionId, "late");
});

operation("when no session comes in time, the client is told so", async (bench) => {
  const { queue } = await sessionQueue(bench);
  const impatient = bench.ownClient(1_500);
  await assert.rejects(impatient.acceptNextSession(queue), ({ code }) =>
    ["ServiceTimeout", "SessionCannotBeLocked"].includes(code),
  );
});

operation("a session that is held cannot be accepted again, until it is let go", async (bench) => {
  const { accept } = await sessionQueue(bench);
  const session = await accept("held");
  await assert.rejects(accept("held"), { code: "SessionCannotBeLocked" });
  await session.close();
  assert.equal((await accept("held")).sessionId, "held");
});

operation("a session keeps its state for whoever accepts it", async (bench) => {
  const { accept } = await sessionQueue(bench);
  const first = await accept("s");
  assert.equal((await first.getSessionState()) ?? null, null);
  await first.setSessionState({ step: 2, done: ["a"] });
  await first.close();
  const second = await accept("s");
  assert.deepEqual(await second.getSessionState(), { step: 2, done: ["a"] });
  await second.setSessionState(null);
  assert.equal((await second.getSessionState()) ?? null, null);
});

operation("a renewed session lock ends later, and its messages stay locked with it", async (bench) => {
  const { sender, accept } = await sessionQueue(bench, { lockDuration: "PT5S" });
  await sender.sendMessages({ body: "m", sessionId: "s" });
  const session = await accept("s");
  const message = await receiveOne(session);
  const before = session.sessionLockedUntilUtc;
  assert.ok(before > new Date(), `${before.toISOString()}`);
  await until(before - 2_500);
  const after = await session.renewSessionLock();
  assert.ok(after - before > 1_500, `${after - before} ms later`);
  assert.equal(session.sessionLockedUntilUtc.getTime(), after.getTime());
  await until(before.getTime() + 1_000);
  await session.completeMessage(message);
});

operation("a session whose lock expired is lost", async (bench) => {
  const { sender, accept } = await sessionQueue(bench, { lockDuration: "PT5S" });
  await sender.sendMessages({ body: "m", sessionId: "s" });
  const session = await accept("s");
  const message = await receiveOne(session);
  await until(session.sessionLockedUntilUtc.getTime() + 500);
  await assert.rejects(session.renewSessionLock(), { code: "SessionLockLost" });
  await assert.rejects(session.setSessionState("s"), { code: "SessionLockLost" });
  await assert.rejects(session.completeMessage(message), { code: "SessionLockLost" });
  const again = await accept("s");
  assert.equal((await takeOne(again)).deliveryCount, 1);
});

operation("messages of a session are abandoned, deferred and dead-lettered in it", async (bench) => {
  const { queue, sender, accept } = await sessionQueue(bench);
  await sender.sendMessages([1, 2].map((body) => ({ body, sessionId: "s" })));
  const session = await accept("s");
  const [first, second] = await receive(session, 2);
  await session.deferMessage(first);
  await session.deadLetterMessage(second, { deadLetterReason: "r" });
  const [deferred] = await session.receiveDeferredMessages(first.sequenceNumber);
  await session.completeMessage(deferred);
  const dead = await takeOne(bench.deadLetters(queue));
  assert.deepEqual([dead.body, dead.sessionId, dead.deadLetterReason], [2, "s", "r"]);
  await sender.sendMessages({ body: 3, sessionId: "s" });
  await session.abandonMessage(await receiveOne(session));
  assert.equal((await takeOne(session)).deliveryCount, 1);
});

operation("peeking in a session shows that session's messages", async (bench) => {
  const { sender, accept } = await sessionQueue(bench);
  await sender.sendMessages(["a", "b", "a"].map((sessionId, body) => ({ body, sessionId })));
  const session = await accept("a");
  assert.deepEqual(bodies(await session.peekMessages(10)), [0, 2]);
});

operation("a session can be received and deleted from", async (bench) => {
  const { queue, sender } = await sessionQueue(bench);
  await sender.sendMessages([1, 2].map((body) => ({ body, sessionId: "s" })));
  const options = { receiveMode: "receiveAndDelete" };
  const session = bench.opened(await bench.client.acceptSession(queue, "s", options));
  assert.deepEqual(bodies(await receive(session, 2)), [1, 2]);
  assert.deepEqual(await session.peekMessages(10), []);
});

operation("a session's subscriber is handed its messages one after the other", async (bench) => {
  const { sender, accept } = await sessionQueue(bench);
  await sender.sendMessages([1, 2, 3].map((body) => ({ body, sessionId: "s" })));
  const session = await accept("s");
  const [found, errors] = [[], []];
  const subscription = session.subscribe({
    processMessage: async ({ body }) => void found.push(body),
    processError: async ({ error }) => void errors.push(error),
  });
  await eventually(() => found.length, (count) => count >= 3);
  await subscription.close();
  assert.deepEqual([found, errors], [[1, 2, 3], []]);
});

operation("a queue with sessions takes no message without one, nor a receiver without one", async (bench) => {
  const { queue, sender } = await sessionQueue(bench);
  await assert.rejects(sender.sendMessages({ body: "m" }));
  await assert.rejects(bench.receiver(queue).receiveMessages(1, { maxWaitTimeInMs: PATIENCE }));
});

operation("a queue without sessions gives none", async (bench) => {
  const queue = await bench.queue();
  await assert.rejects(bench.client.acceptSession(queue, "s"));
});

operation("accepting a session of an entity that is not there says so", async (bench) => {
  const missing = bench.name("missing");
  // Asked for a session by name, the client takes any refusal for a session that somebody else holds.
  await assert.rejects(bench.client.acceptSession(missing, "s"), { code: "SessionCannotBeLocked" });
  await assert.rejects(bench.client.acceptNextSession(missing), { code: "MessagingEntityNotFound" });
});

/** Receiving: by call, by iterator, by subscription; with a lock or without; and looking without taking. */

import assert from "node:assert/strict";
import {
  PATIENCE,
  assertQuiet,
  bodies,
  eventually,
  left,
  operation,
  receive,
  receiveOne,
  take,
  takeOne,
  until,
} from "./harness.mjs";

operation("a receiver waits for the message that is to come", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const waiting = receiver.receiveMessages(1, { maxWaitTimeInMs: PATIENCE });
  await sender.sendMessages({ body: "at last" });
  assert.deepEqual(bodies(await waiting), ["at last"]);
});

operation("a receiver that got less than it asked for leaves the rest to others", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: 1 });
  assert.deepEqual(bodies(await receiver.receiveMessages(10, { maxWaitTimeInMs: PATIENCE })), [1]);
  await sender.sendMessages([{ body: 2 }, { body: 3 }]);
  assert.deepEqual(bodies(await receive(bench.receiver(queue), 2)), [2, 3]);
});

operation("a locked message is not received again", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m" });
  await receiveOne(receiver);
  await assertQuiet(bench.receiver(queue));
});

operation("a message received and deleted is gone at once", async (bench) => {
  const { queue, sender } = await bench.lane();
  await sender.sendMessages([1, 2, 3].map((body) => ({ body })));
  const receiver = bench.receiver(queue, { receiveMode: "receiveAndDelete" });
  const found = await receive(receiver, 3);
  assert.deepEqual(bodies(found), [1, 2, 3]);
  assert.deepEqual([found[0].lockToken, found[0].lockedUntilUtc], [undefined, undefined]);
  assert.deepEqual(await receiver.peekMessages(10), []);
});

operation("peeking takes nothing and goes on from a sequence number", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages([0, 1, 2, 3, 4].map((body) => ({ body })));
  const first = await receiver.peekMessages(2);
  const next = await receiver.peekMessages(10);
  assert.deepEqual([bodies(first), bodies(next)], [[0, 1], [2, 3, 4]]);
  const again = await receiver.peekMessages(10, { fromSequenceNumber: first[1].sequenceNumber });
  assert.deepEqual(bodies(again), [1, 2, 3, 4]);
  assert.equal(again[0].lockToken, undefined);
  assert.equal((await take(receiver, 5)).length, 5);
});

operation("peeking shows locked messages too", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m" });
  const message = await receiveOne(receiver);
  assert.deepEqual(bodies(await receiver.peekMessages(5)), ["m"]);
  await receiver.completeMessage(message);
});

operation("an iterator gives one message after the other", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages([1, 2, 3].map((body) => ({ body })));
  const found = [];
  for await (const message of receiver.getMessageIterator({ maxWaitTimeInMs: PATIENCE })) {
    found.push(message.body);
    await receiver.completeMessage(message);
    if (found.length === 3) break;
  }
  assert.deepEqual(found, [1, 2, 3]);
});

operation("a subscriber is handed every message once, and it is completed", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  const found = [];
  const subscription = subscribe(receiver, (message) => found.push(message.body), { maxConcurrentCalls: 5 });
  await sender.sendMessages(Array.from({ length: 100 }, (_, body) => ({ body })));
  await eventually(() => found.length, (count) => count >= 100);
  await eventually(() => left(bench, queue), (messages) => messages.length === 0);
  assert.deepEqual(found.sort((a, b) => a - b), Array.from({ length: 100 }, (_, index) => index));
  assert.deepEqual(subscription.errors, []);
  await subscription.close();
});

operation("a message whose subscriber fails is handed over again", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const counts = [];
  const subscription = subscribe(receiver, ({ deliveryCount }) => {
    counts.push(deliveryCount);
    if (counts.length < 3) throw new Error("not yet");
  });
  await sender.sendMessages({ body: "m" });
  await eventually(() => counts.length, (length) => length >= 3);
  assert.deepEqual(counts, [0, 1, 2]);
  assert.deepEqual(subscription.errors.map(({ message }) => message), ["not yet", "not yet"]);
  await subscription.close();
});

operation("a subscriber's lock is renewed while it works", async (bench) => {
  const { queue, sender } = await bench.lane({ lockDuration: "PT5S" });
  const receiver = bench.receiver(queue, { maxAutoLockRenewalDurationInMs: 60_000 });
  const counts = [];
  const subscription = subscribe(receiver, async ({ deliveryCount }) => {
    counts.push(deliveryCount);
    await until(Date.now() + 7_000);
  });
  await sender.sendMessages({ body: "slow" });
  await eventually(() => counts.length, (length) => length === 1);
  await eventually(() => left(bench, queue), (messages) => messages.length === 0);
  assert.deepEqual([counts, subscription.errors], [[0], []]);
  await subscription.close();
});

operation("messages go to one of several receivers each", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages(Array.from({ length: 20 }, (_, body) => ({ body })));
  const halves = await Promise.all([take(receiver, 10), take(bench.receiver(queue), 10)]);
  const found = bodies(halves.flat()).sort((a, b) => a - b);
  assert.deepEqual(found, Array.from({ length: 20 }, (_, index) => index));
});

operation("receiving from an entity that is not there says so", async (bench) => {
  const missing = bench.name("missing");
  const expected = { code: "MessagingEntityNotFound" };
  await assert.rejects(bench.receiver(missing).receiveMessages(1, { maxWaitTimeInMs: 1_000 }), expected);
  await assert.rejects(bench.receiver(missing).peekMessages(1), expected);
  await assert.rejects(bench.deadLetters(missing).receiveMessages(1, { maxWaitTimeInMs: 1_000 }), expected);
});

operation("a queue whose receiving is disabled says so and keeps its messages", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "kept" });
  const properties = await bench.administration.getQueue(queue);
  await bench.administration.updateQueue({ ...properties, status: "ReceiveDisabled" });
  await assert.rejects(receiver.receiveMessages(1, { maxWaitTimeInMs: 1_000 }), { code: "MessagingEntityDisabled" });
  await bench.administration.updateQueue({ ...properties, status: "Active" });
  assert.equal((await takeOne(bench.receiver(queue))).body, "kept");
});

/** Subscribe a receiver; the errors the client reports are kept. */
function subscribe(receiver, processMessage, options = {}) {
  const errors = [];
  const handlers = {
    async processMessage(message) {
      await processMessage(message);
    },
    async processError({ error }) {
      errors.push(error);
    },
  };
  return Object.assign(receiver.subscribe(handlers, options), { errors });
}

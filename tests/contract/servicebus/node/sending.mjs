/** Sending: one message, several, a batch; later, only once, not for long, and not too much. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { assertQuiet, bodies, operation, receive, receiveOne, take, takeOne, until } from "./harness.mjs";

const KIB = 1024;

operation("a message arrives with its body and its properties", async (bench) => {
  const { queue, sender } = await bench.lane();
  const receiver = bench.receiver(queue, { skipConvertingDate: true });
  const sent = {
    body: { task: "write", parts: [1, 2.5, "three", null, true] },
    messageId: randomUUID(),
    contentType: "application/json",
    subject: "subject",
    correlationId: "correlation",
    to: "to",
    replyTo: "reply-to",
    replyToSessionId: "reply-to-session",
    timeToLive: 60_000,
    applicationProperties: { text: "a", whole: 7, fraction: 0.5, yes: true, when: new Date(1_700_000_000_000) },
  };
  await sender.sendMessages(sent);
  const message = await takeOne(receiver);
  const received = Object.fromEntries(Object.keys(sent).map((key) => [key, message[key]]));
  assert.deepEqual(received, sent);
});

operation("the service states its own properties, each with its type", async (bench) => {
  const { sender, receiver } = await bench.lane({ lockDuration: "PT30S" });
  const before = Date.now();
  await sender.sendMessages({ body: "m", timeToLive: 60_000 });
  const message = await receiveOne(receiver);
  assert.ok(message.sequenceNumber.greaterThan(0), "sequenceNumber");
  assert.ok(Math.abs(message.enqueuedTimeUtc - before) < 60_000, `enqueuedTimeUtc ${message.enqueuedTimeUtc}`);
  const lock = message.lockedUntilUtc - before;
  assert.ok(lock > 15_000 && lock < 60_000, `lockedUntilUtc is ${lock} ms away`);
  assert.equal(message.expiresAtUtc - message.enqueuedTimeUtc, 60_000);
  assert.match(message.lockToken, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.deepEqual([message.deliveryCount, message.state, message.deadLetterSource], [0, "active", undefined]);
  await receiver.completeMessage(message);
});

operation("a body of bytes, text, a value or a sequence arrives as what it was", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: Buffer.from([0, 255, 10]) });
  await sender.sendMessages({ body: "späte Grüße" });
  await sender.sendMessages({ body: 42.5, bodyType: "value" });
  await sender.sendMessages({ body: [1, "two", [3]], bodyType: "sequence" });
  const [bytes, text, value, sequence] = await take(receiver, 4);
  assert.deepEqual(Buffer.from(bytes.body), Buffer.from([0, 255, 10]));
  assert.equal(text.body, "späte Grüße");
  assert.deepEqual([value.body, value._rawAmqpMessage.bodyType], [42.5, "value"]);
  assert.deepEqual([sequence.body, sequence._rawAmqpMessage.bodyType], [[1, "two", [3]], "sequence"]);
});

operation("a message without an id is given one, and keeps it", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages([{ body: 1 }, { body: 2, subject: "s" }]);
  const [first, second] = await receive(receiver, 2);
  assert.match(first.messageId, /^[0-9a-f]{32}$/);
  assert.notEqual(first.messageId, second.messageId);
  await receiver.completeMessage(first);
  await receiver.abandonMessage(second);
  const again = await takeOne(receiver);
  assert.deepEqual([again.messageId, again.subject], [second.messageId, "s"]);
});

operation("annotations, the header and the footer of an AMQP message arrive with it", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages({
    body: "m",
    bodyType: "data",
    header: { timeToLive: 60_000 },
    messageAnnotations: { "x-mine": "kept" },
    deliveryAnnotations: {},
    footer: { end: "here" },
    properties: { groupSequence: 3, userId: "someone" },
  });
  const raw = (await takeOne(receiver))._rawAmqpMessage;
  assert.equal(raw.messageAnnotations["x-mine"], "kept");
  assert.deepEqual([raw.footer.end, raw.properties.groupSequence], ["here", 3]);
});

operation("messages sent together arrive in their order", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const numbers = Array.from({ length: 50 }, (_, index) => index);
  await sender.sendMessages(numbers.map((body) => ({ body })));
  assert.deepEqual(bodies(await take(receiver, 50)), numbers);
});

operation("a batch takes what it has room for, and arrives whole", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const batch = await sender.createMessageBatch();
  assert.equal(batch.maxSizeInBytes, 256 * KIB);
  while (batch.tryAddMessage({ body: "x".repeat(20 * KIB) }));
  assert.ok(batch.count >= 11, `room for ${batch.count} messages`);
  await sender.sendMessages(batch);
  assert.equal((await take(receiver, batch.count)).length, batch.count);
  await assertQuiet(receiver);
});

operation("a message that is too large is refused with the service's code", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await assert.rejects(sender.sendMessages({ body: "x".repeat(257 * KIB) }), { code: "MessageSizeExceeded" });
  await sender.sendMessages({ body: "small" });
  assert.equal((await takeOne(receiver)).body, "small");
});

operation("nothing arrives of messages that are too large together", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const messages = ["a", "b"].map((letter) => ({ body: letter.repeat(150 * KIB) }));
  await assert.rejects(sender.sendMessages(messages), { code: "MessageSizeExceeded" });
  assert.deepEqual(await receiver.peekMessages(10), []);
});

operation("a scheduled message waits for its time", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const when = new Date(Date.now() + 4_000);
  const [first, second] = await sender.scheduleMessages([{ body: "a" }, { body: "b" }], when);
  assert.ok(second.greaterThan(first), `${first} then ${second}`);
  const peeked = await receiver.peekMessages(10);
  assert.deepEqual(peeked.map(({ state }) => state), ["scheduled", "scheduled"]);
  assert.equal(peeked[0].scheduledEnqueueTimeUtc.getTime(), when.getTime());
  await assertQuiet(receiver);
  const found = await take(receiver, 2);
  assert.deepEqual(bodies(found), ["a", "b"]);
  assert.ok(found[0].enqueuedTimeUtc >= when, `${found[0].enqueuedTimeUtc.toISOString()} < ${when.toISOString()}`);
});

operation("a message sent with a time to be enqueued at waits for it", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const when = new Date(Date.now() + 3_000);
  await sender.sendMessages([{ body: "later", scheduledEnqueueTimeUtc: when }, { body: "now" }]);
  assert.equal((await takeOne(receiver)).body, "now");
  const later = await takeOne(receiver);
  assert.deepEqual([later.body, later.enqueuedTimeUtc >= when], ["later", true]);
});

operation("a cancelled message never arrives", async (bench) => {
  const { sender, receiver } = await bench.lane();
  const when = new Date(Date.now() + 3_000);
  const [cancelled] = await sender.scheduleMessages([{ body: "cancelled" }, { body: "kept" }], when);
  await sender.cancelScheduledMessages(cancelled);
  assert.equal((await takeOne(receiver)).body, "kept");
  assert.deepEqual(await receiver.peekMessages(10, { fromSequenceNumber: cancelled }), []);
});

operation("cancelling what is not scheduled is an error", async (bench) => {
  const { sender } = await bench.lane();
  const [number] = await sender.scheduleMessages({ body: "m" }, new Date(Date.now() + 60_000));
  await sender.cancelScheduledMessages(number);
  await assert.rejects(sender.cancelScheduledMessages(number), { code: "MessageNotFound" });
});

operation("a message with an id seen before is acknowledged and dropped", async (bench) => {
  const { sender, receiver } = await bench.lane({ requiresDuplicateDetection: true });
  await sender.sendMessages({ body: "first", messageId: "one" });
  await sender.sendMessages({ body: "again", messageId: "one" });
  await sender.sendMessages([{ body: "again", messageId: "one" }, { body: "second", messageId: "two" }]);
  assert.deepEqual(bodies(await take(receiver, 2)), ["first", "second"]);
  await assertQuiet(receiver);
});

operation("a message is gone when its time to live is over", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages([{ body: "short", timeToLive: 1_000 }, { body: "long", timeToLive: 60_000 }]);
  await until(Date.now() + 1_500);
  assert.equal((await takeOne(receiver)).body, "long");
  await assertQuiet(receiver);
});

operation("an expired message is dead-lettered where the queue says so", async (bench) => {
  const { queue, sender } = await bench.lane({
    defaultMessageTimeToLive: "PT1S",
    deadLetteringOnMessageExpiration: true,
  });
  await sender.sendMessages({ body: "late", timeToLive: 60_000 });
  const dead = await takeOne(bench.deadLetters(queue));
  assert.deepEqual([dead.body, dead.deadLetterReason], ["late", "TTLExpiredException"]);
});

operation("sending to an entity that is not there says so", async (bench) => {
  const sender = bench.sender(bench.name("missing"));
  await assert.rejects(sender.sendMessages({ body: "m" }), { code: "MessagingEntityNotFound" });
  await assert.rejects(sender.scheduleMessages({ body: "m" }, new Date(Date.now() + 60_000)), {
    code: "MessagingEntityNotFound",
  });
});

operation("many senders share one connection", async (bench) => {
  const { queue, receiver } = await bench.lane();
  const senders = Array.from({ length: 60 }, () => bench.sender(queue));
  await Promise.all(senders.map((sender, body) => sender.sendMessages({ body })));
  const found = bodies(await receive(receiver, 60));
  assert.deepEqual(found.sort((a, b) => a - b), senders.map((_, index) => index));
});

operation("a sender that was closed can be made again", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: 1 });
  await sender.close();
  await assert.rejects(sender.sendMessages({ body: 2 }));
  await bench.sender(queue).sendMessages({ body: 3 });
  assert.deepEqual(bodies(await take(receiver, 2)), [1, 3]);
});

operation("a client can connect again after it was closed", async (bench) => {
  const { queue, receiver } = await bench.lane();
  for (const body of [1, 2]) {
    const client = bench.ownClient();
    await client.createSender(queue).sendMessages({ body });
    await client.close();
  }
  assert.deepEqual(bodies(await take(receiver, 2)), [1, 2]);
});

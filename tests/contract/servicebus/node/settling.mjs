/** What a receiver can decide about a message it holds, and what happens when it decides nothing. */

import assert from "node:assert/strict";
import { assertQuiet, bodies, left, operation, receive, receiveOne, takeOne, until } from "./harness.mjs";

operation("a completed message is gone", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m" });
  await receiver.completeMessage(await receiveOne(receiver));
  assert.deepEqual(await left(bench, queue), []);
});

operation("an abandoned message comes again, counted and with the properties changed", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m", applicationProperties: { kept: 1, changed: 1 } });
  const first = await receiveOne(receiver);
  await receiver.abandonMessage(first, { changed: "two", added: true });
  const second = await receiveOne(receiver);
  assert.deepEqual([first.deliveryCount, second.deliveryCount], [0, 1]);
  assert.deepEqual(second.applicationProperties, { kept: 1, changed: "two", added: true });
  await receiver.completeMessage(second);
});

operation("a message whose deliveries are used up is dead-lettered", async (bench) => {
  const { queue, sender, receiver } = await bench.lane({ maxDeliveryCount: 2 });
  await sender.sendMessages({ body: "poison" });
  for (let round = 0; round < 2; round++) await receiver.abandonMessage(await receiveOne(receiver));
  const dead = await takeOne(bench.deadLetters(queue));
  assert.deepEqual([dead.body, dead.deadLetterReason], ["poison", "MaxDeliveryCountExceeded"]);
});

operation("a deferred message comes only to whom asks for its number", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages([{ body: "aside", applicationProperties: { a: 1 } }, { body: "next" }]);
  const message = await receiveOne(receiver);
  await receiver.deferMessage(message, { a: 2 });
  assert.equal((await takeOne(receiver)).body, "next");
  assert.deepEqual((await left(bench, queue)).map(({ state }) => state), ["deferred"]);
  const [deferred] = await receiver.receiveDeferredMessages(message.sequenceNumber);
  assert.deepEqual([deferred.body, deferred.state, deferred.applicationProperties.a], ["aside", "deferred", 2]);
  await receiver.completeMessage(deferred);
  assert.deepEqual(await left(bench, queue), []);
});

operation("several deferred messages come in one call and stay deferred until completed", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages([{ body: 1 }, { body: 2 }]);
  const messages = await receive(receiver, 2);
  for (const message of messages) await receiver.deferMessage(message);
  const numbers = messages.map(({ sequenceNumber }) => sequenceNumber);
  const [first, second] = await receiver.receiveDeferredMessages(numbers);
  await receiver.abandonMessage(first);
  await receiver.deferMessage(second);
  const again = await receiver.receiveDeferredMessages(numbers);
  assert.deepEqual(bodies(again), [1, 2]);
  await receiver.completeMessage(again[0]);
  await receiver.deadLetterMessage(again[1], { deadLetterReason: "why", deadLetterErrorDescription: "how" });
  const dead = await takeOne(bench.deadLetters(queue));
  assert.deepEqual([dead.deadLetterReason, dead.deadLetterErrorDescription], ["why", "how"]);
});

operation("a deferred message can be received and deleted", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m" });
  const message = await receiveOne(receiver);
  await receiver.deferMessage(message);
  const deleting = bench.receiver(queue, { receiveMode: "receiveAndDelete" });
  assert.deepEqual(bodies(await deleting.receiveDeferredMessages(message.sequenceNumber)), ["m"]);
  assert.deepEqual(await left(bench, queue), []);
});

operation("asking for a number that is not deferred is an error", async (bench) => {
  const { sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m" });
  const [peeked] = await receiver.peekMessages(1);
  await assert.rejects(receiver.receiveDeferredMessages(peeked.sequenceNumber), { code: "MessageNotFound" });
});

operation("a dead-lettered message carries why, from where, and properties of one's own", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "bad", applicationProperties: { kept: 7 } });
  const message = await receiveOne(receiver);
  await receiver.deadLetterMessage(message, {
    deadLetterReason: "Broken",
    deadLetterErrorDescription: "it was broken",
    culprit: "smoke",
  });
  const dead = await takeOne(bench.deadLetters(queue));
  assert.deepEqual([dead.deadLetterReason, dead.deadLetterErrorDescription], ["Broken", "it was broken"]);
  assert.deepEqual([dead.applicationProperties.kept, dead.applicationProperties.culprit], [7, "smoke"]);
  assert.deepEqual(await left(bench, queue), []);
});

operation("a dead letter can be peeked, abandoned and sent again", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "again", messageId: "id" });
  await receiver.deadLetterMessage(await receiveOne(receiver), { deadLetterReason: "r" });
  const dead = bench.deadLetters(queue);
  assert.deepEqual(bodies(await dead.peekMessages(5)), ["again"]);
  await dead.abandonMessage(await receiveOne(dead));
  const letter = await receiveOne(dead);
  await sender.sendMessages({ body: letter.body, messageId: letter.messageId });
  await dead.completeMessage(letter);
  const message = await takeOne(receiver);
  assert.deepEqual([message.body, message.messageId, message.deliveryCount], ["again", "id", 0]);
});

operation("a renewed lock ends later", async (bench) => {
  const { sender, receiver } = await bench.lane({ lockDuration: "PT5S" });
  await sender.sendMessages({ body: "m" });
  const message = await receiveOne(receiver);
  const before = message.lockedUntilUtc;
  await until(before - 2_500);
  const after = await receiver.renewMessageLock(message);
  assert.ok(after - before > 1_500, `${after - before} ms later`);
  await until(before.getTime() + 1_000);
  await receiver.completeMessage(message);
});

operation("a lock that expired is lost and the message comes again", async (bench) => {
  const { sender, receiver } = await bench.lane({ lockDuration: "PT5S" });
  await sender.sendMessages({ body: "m" });
  const message = await receiveOne(receiver);
  await until(message.lockedUntilUtc.getTime() + 500);
  await assert.rejects(receiver.renewMessageLock(message), { code: "MessageLockLost" });
  await assert.rejects(receiver.completeMessage(message), { code: "MessageLockLost" });
  assert.equal((await takeOne(receiver)).deliveryCount, 1);
});

operation("a message can be settled after its receiver was closed", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages([{ body: "completed" }, { body: "dead" }]);
  const [first, second] = await receive(receiver, 2);
  await receiver.close();
  const other = bench.receiver(queue);
  await other.completeMessage(first);
  await other.deadLetterMessage(second, { deadLetterReason: "closed" });
  assert.deepEqual(await left(bench, queue), []);
  assert.equal((await takeOne(bench.deadLetters(queue))).deadLetterReason, "closed");
});

operation("a message cannot be settled twice", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages({ body: "m" });
  const message = await receiveOne(receiver);
  await receiver.completeMessage(message);
  await assert.rejects(receiver.completeMessage(message));
  await assert.rejects(bench.receiver(queue).completeMessage(message));
  await assertQuiet(receiver);
});

operation("what a client held when it went away comes again", async (bench) => {
  const { queue, sender, receiver } = await bench.lane({ lockDuration: "PT5S" });
  await sender.sendMessages({ body: "m" });
  const client = bench.ownClient();
  assert.equal((await receiveOne(client.createReceiver(queue))).deliveryCount, 0);
  await client.close();
  assert.equal((await takeOne(receiver)).deliveryCount, 1);
});

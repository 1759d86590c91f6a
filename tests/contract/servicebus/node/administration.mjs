/** The administration client: entities are made, read, changed, listed, counted and removed. */

import assert from "node:assert/strict";
import { eventually, operation, receive, receiveOne, takeOne } from "./harness.mjs";

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

operation("a queue is made with its options, read back, changed and removed", async (bench) => {
  const { administration } = bench;
  const name = bench.name("queue");
  const options = {
    lockDuration: "PT45S",
    maxDeliveryCount: 7,
    defaultMessageTimeToLive: "P1D",
    deadLetteringOnMessageExpiration: true,
    requiresDuplicateDetection: true,
    duplicateDetectionHistoryTimeWindow: "PT5M",
    requiresSession: true,
    userMetadata: "made by a smoke",
  };
  const made = await administration.createQueue(name, options);
  const read = await administration.getQueue(name);
  for (const found of [made, read]) {
    assert.deepEqual(Object.fromEntries(Object.keys(options).map((key) => [key, found[key]])), options);
  }
  assert.deepEqual([read.name, read.status], [name, "Active"]);
  const changed = await administration.updateQueue({ ...read, maxDeliveryCount: 3 });
  assert.equal(changed.maxDeliveryCount, 3);
  assert.equal((await administration.getQueue(name)).maxDeliveryCount, 3);
  assert.equal(await administration.queueExists(name), true);
  await administration.deleteQueue(name);
  assert.equal(await administration.queueExists(name), false);
});

operation("queues and topics are listed", async (bench) => {
  const queues = [await bench.queue(), await bench.queue()];
  const topic = await bench.topic();
  const { administration } = bench;
  const names = (await all(administration.listQueues())).map(({ name }) => name);
  assert.deepEqual(queues.filter((queue) => !names.includes(queue)), []);
  assert.ok(!names.includes(topic), "a topic among the queues");
  const topics = (await all(administration.listTopics())).map(({ name }) => name);
  assert.ok(topics.includes(topic), "the topic is not listed");
});

operation("a queue's messages are counted by what they are", async (bench) => {
  const { queue, sender, receiver } = await bench.lane();
  await sender.sendMessages([1, 2, 3].map((body) => ({ body })));
  await sender.scheduleMessages({ body: 4 }, new Date(Date.now() + 600_000));
  await receiver.deadLetterMessage(await receiveOne(receiver));
  const counted = (counts) => counts.activeMessageCount === 2 && counts.deadLetterMessageCount === 1;
  const counts = await eventually(() => bench.administration.getQueueRuntimeProperties(queue), counted);
  assert.deepEqual([counts.scheduledMessageCount, counts.totalMessageCount], [1, 4]);
  assert.ok(counts.sizeInBytes > 0, `${counts.sizeInBytes} bytes`);
  assert.ok(counts.createdAt instanceof Date && counts.accessedAt instanceof Date, "instants");
  const listed = await all(bench.administration.listQueuesRuntimeProperties());
  assert.equal(listed.find(({ name }) => name === queue).activeMessageCount, 2);
});

operation("a topic and its subscription are made, read, changed, counted and removed", async (bench) => {
  const { administration } = bench;
  const topic = await bench.topic({ defaultMessageTimeToLive: "PT1H", requiresDuplicateDetection: true });
  const read = await administration.getTopic(topic);
  assert.deepEqual([read.defaultMessageTimeToLive, read.requiresDuplicateDetection], ["PT1H", true]);
  assert.equal((await administration.updateTopic({ ...read, userMetadata: "changed" })).userMetadata, "changed");
  await administration.createSubscription(topic, "sub", { maxDeliveryCount: 4, lockDuration: "PT20S" });
  const subscription = await administration.getSubscription(topic, "sub");
  assert.deepEqual([subscription.maxDeliveryCount, subscription.lockDuration], [4, "PT20S"]);
  const changed = await administration.updateSubscription({ ...subscription, maxDeliveryCount: 5 });
  assert.equal(changed.maxDeliveryCount, 5);
  assert.deepEqual((await all(administration.listSubscriptions(topic))).map((each) => each.subscriptionName), ["sub"]);
  await bench.sender(topic).sendMessages([{ body: 1 }, { body: 2 }]);
  await receive(bench.receiver(topic, "sub"), 2);
  const counts = await administration.getSubscriptionRuntimeProperties(topic, "sub");
  assert.deepEqual([counts.activeMessageCount, counts.deadLetterMessageCount], [2, 0]);
  assert.equal((await administration.getTopicRuntimeProperties(topic)).subscriptionCount, 1);
  await administration.deleteSubscription(topic, "sub");
  assert.equal(await administration.subscriptionExists(topic, "sub"), false);
});

operation("a rule is made, read, changed, listed and removed", async (bench) => {
  const { administration } = bench;
  const topic = await bench.topic();
  await administration.createSubscription(topic, "sub");
  await administration.createRule(topic, "sub", "sql", { sqlExpression: "price > 10" });
  await administration.createRule(topic, "sub", "equal", { subject: "s", applicationProperties: { kind: "a", n: 2 } });
  const names = (await all(administration.listRules(topic, "sub"))).map(({ name }) => name);
  assert.deepEqual(names.sort(), ["$Default", "equal", "sql"]);
  const equal = await administration.getRule(topic, "sub", "equal");
  assert.deepEqual([equal.filter.subject, equal.filter.applicationProperties], ["s", { kind: "a", n: 2 }]);
  const sql = await administration.getRule(topic, "sub", "sql");
  await administration.updateRule(topic, "sub", { ...sql, filter: { sqlExpression: "price > 20" } });
  assert.equal((await administration.getRule(topic, "sub", "sql")).filter.sqlExpression, "price > 20");
  await administration.deleteRule(topic, "sub", "$Default");
  assert.equal(await administration.ruleExists(topic, "sub", "$Default"), false);
  await bench.sender(topic).sendMessages([15, 25].map((price) => ({ body: price, applicationProperties: { price } })));
  assert.equal((await takeOne(bench.receiver(topic, "sub"))).body, 25);
});

operation("entities that are not there, or there already, are named as such", async (bench) => {
  const { administration } = bench;
  const queue = await bench.queue();
  const missing = bench.name("missing");
  await assert.rejects(administration.getQueue(missing), { code: "MessageEntityNotFoundError" });
  await assert.rejects(administration.deleteQueue(missing), { code: "MessageEntityNotFoundError" });
  await assert.rejects(administration.createQueue(queue), { code: "MessageEntityAlreadyExistsError" });
  await assert.rejects(administration.createSubscription(missing, "sub"), { code: "MessageEntityNotFoundError" });
});

operation("the namespace says its name and tier", async (bench) => {
  const properties = await bench.administration.getNamespaceProperties();
  assert.ok(properties.name, "no name");
  assert.match(properties.messagingSku, /^(Basic|Standard|Premium)$/);
});

operation("entities made by administration can be used by their names in any case", async (bench) => {
  const queue = await bench.queue();
  await bench.sender(queue.toUpperCase()).sendMessages({ body: "m" });
  assert.equal((await takeOne(bench.receiver(queue))).body, "m");
});

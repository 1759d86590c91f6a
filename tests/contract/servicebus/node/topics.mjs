/** Topics: every subscription gets its own copy of the messages its rules want. */

import assert from "node:assert/strict";
import { assertQuiet, bodies, operation, receive, receiveOne, take, takeOne } from "./harness.mjs";

/** A topic with a subscription for each name, whose only rule is the filter given, if one is. */
async function topicWith(bench, filters) {
  const topic = await bench.topic();
  for (const [name, filter] of Object.entries(filters)) {
    const options = filter === undefined ? {} : { defaultRuleOptions: { name: "only", filter } };
    await bench.administration.createSubscription(topic, name, options);
  }
  return topic;
}

operation("every subscription gets its own copy", async (bench) => {
  const topic = await topicWith(bench, { first: undefined, second: undefined });
  await bench.sender(topic).sendMessages({ body: "news", messageId: "id" });
  const [first, second] = [bench.receiver(topic, "first"), bench.receiver(topic, "second")];
  const [one, other] = [await receiveOne(first), await receiveOne(second)];
  assert.deepEqual([one.body, one.messageId, other.body, other.messageId], ["news", "id", "news", "id"]);
  await first.completeMessage(one);
  await second.abandonMessage(other);
  assert.equal((await takeOne(second)).deliveryCount, 1);
  await assertQuiet(first);
});

operation("a correlation filter takes only what is equal", async (bench) => {
  const picky = { subject: "wanted", correlationId: "c", applicationProperties: { kind: "a", level: 2 } };
  const topic = await topicWith(bench, { picky, everything: undefined });
  await bench.sender(topic).sendMessages([
    { body: "no", subject: "other", correlationId: "c", applicationProperties: { kind: "a", level: 2 } },
    { body: "no", subject: "wanted", correlationId: "c", applicationProperties: { kind: "b", level: 2 } },
    { body: "no", subject: "wanted", correlationId: "c", applicationProperties: { kind: "a" } },
    { body: "yes", subject: "wanted", correlationId: "c", applicationProperties: { kind: "a", level: 2, more: 1 } },
  ]);
  assert.equal((await receive(bench.receiver(topic, "everything"), 4)).length, 4);
  assert.deepEqual(bodies(await bench.receiver(topic, "picky").peekMessages(10)), ["yes"]);
});

operation("a SQL filter sees system and application properties with their types", async (bench) => {
  const dear = { sqlExpression: "sys.Label = @label AND price > 10 AND name LIKE 'b%'", sqlParameters: { "@label": "x" } };
  const topic = await topicWith(bench, { dear, everything: undefined });
  await bench.sender(topic).sendMessages([
    { body: "no", subject: "x", applicationProperties: { price: 3, name: "book" } },
    { body: "no", subject: "y", applicationProperties: { price: 30, name: "book" } },
    { body: "no", subject: "x", applicationProperties: { price: 30, name: "pen" } },
    { body: "no", subject: "x" },
    { body: "yes", subject: "x", applicationProperties: { price: 30.5, name: "book" } },
  ]);
  assert.equal((await receive(bench.receiver(topic, "everything"), 5)).length, 5);
  assert.deepEqual(bodies(await bench.receiver(topic, "dear").peekMessages(10)), ["yes"]);
});

operation("a batch and a scheduled message reach a topic's subscriptions too", async (bench) => {
  const topic = await topicWith(bench, { sub: undefined });
  const sender = bench.sender(topic);
  const batch = await sender.createMessageBatch();
  batch.tryAddMessage({ body: 1 });
  batch.tryAddMessage({ body: 2 });
  await sender.sendMessages(batch);
  await sender.scheduleMessages({ body: 3 }, new Date(Date.now() + 1_000));
  const [cancelled] = await sender.scheduleMessages({ body: 4 }, new Date(Date.now() + 1_000));
  await sender.cancelScheduledMessages(cancelled);
  const receiver = bench.receiver(topic, "sub");
  assert.deepEqual(bodies(await take(receiver, 3)), [1, 2, 3]);
  await assertQuiet(receiver);
});

operation("a subscription has a dead-letter queue of its own", async (bench) => {
  const topic = await topicWith(bench, { sub: undefined, other: undefined });
  await bench.sender(topic).sendMessages({ body: "bad" });
  const receiver = bench.receiver(topic, "sub");
  await receiver.deadLetterMessage(await receiveOne(receiver), { deadLetterReason: "r" });
  const dead = await takeOne(bench.deadLetters(topic, "sub"));
  assert.deepEqual([dead.body, dead.deadLetterReason], ["bad", "r"]);
  assert.equal((await takeOne(bench.receiver(topic, "other"))).body, "bad");
});

operation("rules are listed, added and removed through the subscription", async (bench) => {
  const topic = await topicWith(bench, { sub: undefined });
  const rules = bench.client.createRuleManager(topic, "sub");
  const listed = async () => {
    const found = [];
    // The client's iterator says undefined once when there is nothing to iterate.
    for await (const rule of rules.listRules()) if (rule !== undefined) found.push(rule);
    return found.sort((a, b) => a.name.localeCompare(b.name));
  };
  assert.deepEqual((await listed()).map(({ name }) => name), ["$Default"]);
  await rules.deleteRule("$Default");
  assert.deepEqual(await listed(), []);
  await rules.createRule("by-label", { subject: "wanted", applicationProperties: { kind: "a" } });
  await rules.createRule("by-price", { sqlExpression: "price > 10" });
  const [label, price] = await listed();
  assert.deepEqual([label.name, label.filter.subject], ["by-label", "wanted"]);
  assert.equal(label.filter.applicationProperties.kind, "a");
  assert.deepEqual([price.name, price.filter.sqlExpression], ["by-price", "price > 10"]);
  await bench.sender(topic).sendMessages([
    { body: "neither", applicationProperties: { price: 1 } },
    { body: "label", subject: "wanted", applicationProperties: { kind: "a" } },
    { body: "price", applicationProperties: { price: 11 } },
  ]);
  const receiver = bench.receiver(topic, "sub");
  assert.deepEqual(bodies(await take(receiver, 2)), ["label", "price"]);
  await assertQuiet(receiver);
});

operation("a rule cannot be added twice, nor removed when it is not there", async (bench) => {
  const topic = await topicWith(bench, { sub: undefined });
  const rules = bench.client.createRuleManager(topic, "sub");
  await assert.rejects(rules.createRule("$Default", { sqlExpression: "1=1" }), {
    code: "MessagingEntityAlreadyExists",
  });
  await assert.rejects(rules.deleteRule("missing"), { code: "MessagingEntityNotFound" });
});

operation("a subscription may have sessions", async (bench) => {
  const topic = await bench.topic();
  await bench.administration.createSubscription(topic, "sub", { requiresSession: true });
  await bench.sender(topic).sendMessages({ body: "m", sessionId: "s" });
  const session = bench.opened(await bench.client.acceptNextSession(topic, "sub"));
  assert.equal(session.sessionId, "s");
  assert.equal((await takeOne(session)).body, "m");
});

operation("a subscription that is not there says so", async (bench) => {
  const topic = await bench.topic();
  const receiver = bench.receiver(topic, "nobody");
  await assert.rejects(receiver.receiveMessages(1, { maxWaitTimeInMs: 1_000 }), { code: "MessagingEntityNotFound" });
});

operation("nothing can be received from a topic itself", async (bench) => {
  const topic = await bench.topic();
  await assert.rejects(bench.receiver(topic).receiveMessages(1, { maxWaitTimeInMs: 1_000 }));
});

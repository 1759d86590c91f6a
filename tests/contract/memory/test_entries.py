"""What every memory store guarantees of single entries: which one stays, when it is over, who sees it."""

import asyncio
from datetime import timedelta

import pytest

from shared.memory.entries import Embedding, Fact, Scope
from shared.memory.store import MemoryStore
from tests.contract.memory.conftest import Memories
from tests.support.documents import NOW, after
from tests.support.memories import SESSION, SHARED, a_fact, a_turn

AGENT = Scope(tenant="acme", agent="research")


async def texts(store: MemoryStore, scope: Scope = SHARED, *, at: float = 0, words: tuple[str, ...] = ()) -> list[str]:
    found = await store.read(scope, now=after(at), words=words)
    return [entry.text for entry in found if isinstance(entry, Fact)]


async def test_a_fact_comes_back_as_it_was_kept(store: MemoryStore) -> None:
    fact = a_fact("Salt: 35 g a litre 🌊 \x00 'quoted' \\ é", embedding=Embedding(model="m", vector=(0.1, -2.5, 1e-9)))
    assert await store.put(fact, now=NOW)
    assert await store.read(SHARED, now=NOW) == (fact,)


async def test_a_turn_comes_back_as_it_was_kept(store: MemoryStore) -> None:
    turn = a_turn("tides", expires_at=after(60))
    assert await store.put(turn, now=NOW)
    assert await store.read(SESSION, now=NOW) == (turn,)


async def test_a_scope_that_nobody_wrote_to_is_empty(store: MemoryStore) -> None:
    assert await store.read(SHARED, now=NOW) == ()


async def test_another_process_sees_what_was_kept(memories: Memories) -> None:
    await memories.open().put(a_fact("seen"), now=NOW)
    assert await texts(memories.open()) == ["seen"]


async def test_entries_are_read_from_the_oldest_to_the_newest_whenever_they_were_written(store: MemoryStore) -> None:
    for at in (3, 1, 2):
        await store.put(a_fact(f"at {at}", at=at), now=after(9))
    assert await texts(store, at=9) == ["at 1", "at 2", "at 3"]


async def test_a_later_entry_replaces_an_earlier_one_under_its_key(store: MemoryStore) -> None:
    await store.put(a_fact("old", key="k"), now=NOW)
    assert await store.put(a_fact("new", key="k", at=1), now=after(1))
    assert await texts(store, at=1) == ["new"]


async def test_an_earlier_entry_that_arrives_later_changes_nothing(store: MemoryStore) -> None:
    await store.put(a_fact("new", key="k", at=1), now=after(1))
    assert not await store.put(a_fact("old", key="k"), now=after(2))
    assert await texts(store, at=2) == ["new"]


async def test_to_keep_the_same_entry_again_changes_nothing(store: MemoryStore) -> None:
    await store.put(a_fact("same"), now=NOW)
    assert not await store.put(a_fact("same"), now=after(1))
    assert await texts(store, at=1) == ["same"]


async def test_of_two_entries_of_one_moment_the_same_one_stays_in_either_order(store: MemoryStore) -> None:
    one, other = a_fact("one", key="k"), a_fact("other", key="k")
    for first, second in ((one, other), (other, one)):
        await store.put(first, now=NOW)
        await store.put(second, now=NOW)
        assert await texts(store) == [max(one, other, key=lambda fact: fact.stamp).text]
        await store.forget(SHARED, "k")


async def test_of_many_writers_of_one_key_the_latest_stays_whole(memories: Memories) -> None:
    stores = [memories.open() for _ in range(4)]
    facts = [a_fact(f"version {at}", key="k", at=at) for at in range(20)]
    await asyncio.gather(*(stores[n % 4].put(fact, now=after(20)) for n, fact in enumerate(facts)))
    assert await memories.open().read(SHARED, now=after(20)) == (facts[-1],)


async def test_of_many_writers_of_many_keys_none_is_lost(memories: Memories) -> None:
    stores = [memories.open() for _ in range(4)]
    await asyncio.gather(*(stores[n % 4].put(a_fact(f"fact {n}", at=n), now=NOW) for n in range(40)))
    assert await texts(memories.open()) == [f"fact {n}" for n in range(40)]


async def test_what_is_over_is_not_seen_from_that_moment_on(store: MemoryStore) -> None:
    await store.put(a_fact("short", lasts=10), now=NOW)
    assert await texts(store, at=9.999999) == ["short"]
    assert await texts(store, at=10) == []
    assert await texts(store, at=10, words=("short",)) == []


async def test_what_is_over_gives_way_to_a_new_entry_under_its_key(store: MemoryStore) -> None:
    await store.put(a_fact("short", key="k", lasts=10), now=NOW)
    assert await store.put(a_fact("again", key="k", at=20), now=after(20))
    assert await texts(store, at=20) == ["again"]


async def test_a_replacement_has_its_own_time(store: MemoryStore) -> None:
    await store.put(a_fact("short", key="k", lasts=10), now=NOW)
    await store.put(a_fact("for ever", key="k", at=1), now=after(1))
    assert await texts(store, at=1e6) == ["for ever"]
    await store.put(a_fact("short again", key="k", at=2, lasts=1), now=after(2))
    assert await texts(store, at=3) == []


@pytest.mark.parametrize(
    "other",
    [
        Scope(tenant="acme2"),
        Scope(tenant="Acme"),
        Scope(tenant="acme", agent="writer"),
        Scope(tenant="acme", session="shared"),
        Scope(),
    ],
    ids=lambda scope: scope.path,
)
async def test_no_scope_sees_or_touches_what_is_in_another(store: MemoryStore, other: Scope) -> None:
    await store.put(a_fact("mine", key="k"), now=NOW)
    await store.put(a_fact("theirs", key="k", scope=other), now=NOW)
    assert await texts(store) == ["mine"]
    assert await texts(store, other) == ["theirs"]
    assert await store.forget(other, "k")
    assert await store.forget_tenant(other.tenant) == (1 if other.tenant == "acme" else 0)
    assert await texts(store) == ([] if other.tenant == "acme" else ["mine"])


async def test_an_entry_can_be_forgotten_once(store: MemoryStore) -> None:
    await store.put(a_fact("gone", key="k"), now=NOW)
    await store.put(a_fact("stays", key="l"), now=NOW)
    assert await store.forget(SHARED, "k")
    assert not await store.forget(SHARED, "k")
    assert await texts(store) == ["stays"]


async def test_a_session_is_forgotten_whole_and_nothing_else(store: MemoryStore) -> None:
    for number in range(3):
        await store.put(a_turn(f"turn {number}", at=number), now=NOW)
    await store.put(a_turn("over", expires_at=after(1)), now=NOW)
    await store.put(a_turn("other", scope=Scope(tenant="acme", session="s-2")), now=NOW)
    await store.put(a_fact("stays"), now=NOW)
    assert await store.forget_scope(SESSION) == 4
    assert await store.forget_scope(SESSION) == 0
    assert await store.read(SESSION, now=NOW) == ()
    assert len(await store.read(Scope(tenant="acme", session="s-2"), now=NOW)) == 1
    assert await texts(store) == ["stays"]


async def test_a_tenant_is_forgotten_in_all_its_scopes_and_no_other_tenant(store: MemoryStore) -> None:
    for scope in (SHARED, AGENT):
        await store.put(a_fact("theirs", scope=scope), now=NOW)
    for number in range(30):
        await store.put(a_turn(f"turn {number}"), now=NOW)
    await store.put(a_fact("others", scope=Scope(tenant="acme-2")), now=NOW)
    assert await store.forget_tenant("acme") == 32
    assert await store.forget_tenant("acme") == 0
    assert await texts(store, AGENT) == []
    assert await texts(store, Scope(tenant="acme-2")) == ["others"]


async def test_a_full_scope_forgets_its_oldest_entry_and_no_other_scope_does(memories: Memories) -> None:
    store = memories.open(limits={"fact": 3, "turn": 2})
    await store.put(a_fact("elsewhere", scope=AGENT), now=NOW)
    for at in (2, 1, 3, 4):
        await store.put(a_fact(f"at {at}", at=at), now=after(9))
    assert await texts(store, at=9) == ["at 2", "at 3", "at 4"]
    assert await texts(store, AGENT) == ["elsewhere"]


async def test_many_writers_of_a_full_scope_leave_exactly_the_newest(memories: Memories) -> None:
    stores = [memories.open(limits={"fact": 5, "turn": 5}) for _ in range(4)]
    order = [(7 * n) % 30 for n in range(30)]
    await asyncio.gather(*(stores[n % 4].put(a_fact(f"at {at}", at=at), now=after(99)) for n, at in enumerate(order)))
    assert await texts(memories.open(), at=99) == [f"at {at}" for at in range(25, 30)]


async def test_what_is_over_gives_way_in_a_full_scope_first(memories: Memories) -> None:
    store = memories.open(limits={"fact": 2, "turn": 2})
    await store.put(a_fact("oldest", at=0), now=NOW)
    await store.put(a_fact("short", at=1, lasts=1), now=after(1))
    await store.put(a_fact("newest", at=5), now=after(5))
    assert await texts(store, at=5) == ["oldest", "newest"]


async def test_a_replacement_takes_no_room(memories: Memories) -> None:
    store = memories.open(limits={"fact": 2, "turn": 2})
    await store.put(a_fact("first", key="a", at=0), now=NOW)
    for at in range(1, 5):
        await store.put(a_fact(f"version {at}", key="b", at=at), now=after(at))
    assert await texts(store, at=5) == ["first", "version 4"]


async def test_a_fact_is_found_by_any_whole_word_in_capitals_or_not(store: MemoryStore) -> None:
    for text in ("Salt in the SEA", "salty snacks", "Rivers, seas", "日本 Straße naïve"):
        await store.put(a_fact(text), now=NOW)
    found = {word: await texts(store, words=(word,)) for word in ("salt", "sea", "rivers", "naïve", "日本", "strasse")}
    assert found == {
        "salt": ["Salt in the SEA"],
        "sea": ["Salt in the SEA"],
        "rivers": ["Rivers, seas"],
        "naïve": ["日本 Straße naïve"],
        "日本": ["日本 Straße naïve"],
        "strasse": ["日本 Straße naïve"],
    }


async def test_several_words_find_what_has_one_of_them(store: MemoryStore) -> None:
    for at, text in enumerate(("salt", "sea", "snow")):
        await store.put(a_fact(text, at=at), now=NOW)
    assert await texts(store, words=("sea", "salt", "nothing")) == ["salt", "sea"]
    assert await texts(store, words=("nothing",)) == []


async def test_keys_of_any_text_are_kept_apart(store: MemoryStore) -> None:
    keys = ["a", "A", "a/b", "a\\b", "a?b#c", "' or 1=1 --", "ключ", "a b", "."]
    for number, key in enumerate(keys):
        await store.put(a_fact(key, key=key, at=number), now=NOW)
    assert await texts(store) == keys
    assert await store.forget(SHARED, "a/b")
    assert await texts(store) == [key for key in keys if key != "a/b"]


async def test_the_largest_entries_are_kept(store: MemoryStore) -> None:
    fact = a_fact("ж" * 4000, embedding=Embedding(model="m", vector=tuple(0.123456789 for _ in range(4096))))
    await store.put(fact, now=NOW)
    assert await store.read(SHARED, now=NOW) == (fact,)


async def test_a_store_that_was_closed_opens_again(store: MemoryStore) -> None:
    await store.put(a_fact("kept"), now=NOW)
    await store.close()
    assert await texts(store, at=timedelta(days=1).total_seconds()) == ["kept"]

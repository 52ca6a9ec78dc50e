"""The filter language over rows of any type: what it says, what it means, and what it refuses."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nsview.host.columns import Column
from nsview.host.columns.kinds import BYTES, DURATION, NAMESPACE, NUMBER, PERCENT, STATE, TEXT, USER
from nsview.host.filter import FilterError, parse


class Animal(NamedTuple):
    """A row that has nothing to do with processes."""

    number: int
    name: str | None
    weight: int | None = None
    owner: int | None = None
    field: int | None = None
    meadow: int | None = None
    age: int | None = None
    share: float | None = None
    state: str | None = None
    mother: int | None = None


COLUMNS = (
    Column("number", "NO", NUMBER, lambda row: row.number, main=True),
    Column("name", "NAME", TEXT, lambda row: row.name, main=True),
    Column("weight", "WEIGHT", BYTES, lambda row: row.weight),
    Column("owner", "OWNER", USER, lambda row: row.owner),
    Column("ns.field", "FIELD", NAMESPACE, lambda row: row.field, aliases=("f",)),
    Column("ns.meadow", "MEADOW", NAMESPACE, lambda row: row.meadow, aliases=("m",)),
    Column("age", "AGE", DURATION, lambda row: row.age),
    Column("share", "SHARE", PERCENT, lambda row: row.share, aliases=("share%",)),
    Column("state", "S", STATE, lambda row: row.state),
)

SECOND = 10**9
COW = Animal(1, "Cow", 5 << 20, 0, 4026531840, 7, 90 * SECOND, 2.5, "S")
CALF = Animal(2, "calf and cow", 1 << 20, 0, 4026531841, 7, SECOND // 2, 7.0, "R", mother=1)
DOG = Animal(3, "dog", mother=1)
CAT = Animal(12, None, 3072, 65534, 4026531840, 8, 3600 * SECOND, 0.0, "Z", mother=99)
HERD = (COW, CALF, DOG, CAT)


def refer(who):
    by_number = {animal.number: animal for animal in HERD}
    if who == "parent":
        return lambda row: by_number.get(row.mother)
    fixed = by_number.get({"init": 1, "self": 2}.get(who) or int(who))
    return lambda row: fixed


def found(text: str) -> list[int]:
    return [animal.number for animal in parse(text, COLUMNS, refer).select(HERD)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3, 12]),
        ("  ", [1, 2, 3, 12]),
        ("number=2", [2]),
        ("number == 2", [2]),
        ("number!=2", [1, 3, 12]),
        ("number≠2", [1, 3, 12]),
        ("number<2", [1]),
        ("number<=2", [1, 2]),
        ("number≤2", [1, 2]),
        ("number>2", [3, 12]),
        ("number>=3", [3, 12]),
        ("number≥3", [3, 12]),
        ("name=dog", [3]),
        ("name=Dog", []),
        ('name="calf and cow"', [2]),
        ("name='calf and cow'", [2]),
        ("name~^c", [2]),
        ("name~c|d", [2, 3]),
        ("name!~^c", [1, 3]),
        ("name=~dog", [3]),
        ("name:cow", [1, 2]),
        ("name:Cow", [1]),
        ("number:1", [1, 12]),
        ("weight>1M", [1]),
        ("weight>=1M", [1, 2]),
        ("weight=1MiB", [2]),
        ("weight<3.5K", [12]),
        ("weight=3072", [12]),
        ("owner=root", [1, 2]),
        ("owner=0", [1, 2]),
        ("owner=65534", [12]),
        ("age<1s", [2]),
        ("age=500ms", [2]),
        ("age=1m30s", [1]),
        ("age=01:30", [1]),
        ("age>=1h", [12]),
        ("age=01:00:00", [12]),
        ("age>89.5", [1, 12]),
        ("share>2%", [1, 2]),
        ("share%>5", [2]),
        ("state=sleeping", [1]),
        ("state=Z", [12]),
        ("cow", [1, 2]),
        ("Cow", [1]),
        ('"and cow"', [2]),
        ("/^.o/", [1, 3]),
        ("/cow$/", [2]),
        ("/cow$/i", [1, 2]),
        ("/f a/", [2]),
    ],
)
def test_terms_find_what_they_say(text, numbers):
    assert found(text) == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("cow owner=root number>1", [2]),
        ("cow and number>1", [2]),
        ("cow AND number>1", [2]),
        ("cow & number>1", [2]),
        ("cow&&number>1", [2]),
        ("number=1 or number=3", [1, 3]),
        ("number=1|number=3", [1, 3]),
        ("number=1||number=3 OR name=dog", [1, 3]),
        ("number=1 number=2 or number=3", [3]),
        ("number=1 (number=2 or number=3)", []),
        ("(number=1)or(number=3)", [1, 3]),
        ("!number=1", [2, 3, 12]),
        ("not number=1 !number=3", [2, 12]),
        ("not (number=1 or number=3)", [2, 12]),
        ("!(number=1 or !number=3)", [3]),
        ("!!number=1", [1]),
        ("order", []),
        ("nothing", []),
    ],
)
def test_terms_are_joined_denied_and_grouped(text, numbers):
    assert found(text) == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("ns.field=init", [1, 12]),
        ("ns.field!=init", [2]),
        ("f≠parent", [2]),
        ("f=@parent", []),
        ("m=parent", [2]),
        ("f=self", [2]),
        ("f=12", [1, 12]),
        ("f=12.field", [1, 12]),
        ("f=@12.ns.field", [1, 12]),
        ("f=4026531840", [1, 12]),
        ("weight<@parent", [2]),
        ("weight>=@2", [1, 2]),
        ("state!=@init", [2, 12]),
        ("f=4242", []),
        ("f!=4242", []),
    ],
)
def test_references_compare_with_another_row(text, numbers):
    assert found(text) == numbers


@pytest.mark.parametrize(
    "text", ["weight>0", "weight<=0", "weight=0", "weight!=0", "weight:0", "weight~.", "weight!~."]
)
def test_an_unknown_value_matches_no_comparison_and_not_its_contrary(text):
    filter = parse(text, COLUMNS)
    assert filter.matches(DOG) is None
    assert parse(f"not ({text})", COLUMNS).matches(DOG) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("weight=?", True),
        ("weight!=?", False),
        ("not weight=?", False),
        ("weight>1 or name=dog", True),
        ("weight>1 or name=cat", None),
        ("weight>1 name=dog", None),
        ("weight>1 name=cat", False),
        ("zebra", False),
    ],
)
def test_what_is_known_decides_where_it_can(text, answer):
    assert parse(text, COLUMNS).matches(DOG) is answer


def test_a_text_that_may_stand_in_an_unknown_column_is_unknown():
    assert parse("zebra", COLUMNS).matches(CAT) is None
    assert parse("12", COLUMNS).matches(CAT) is True


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("wieght>5", 0, "did you mean weight?"),
        ("cow foo=1", 4, "The columns are number, name, weight"),
        ("weight>", 7, "a value is missing after weight>"),
        ("weight>)", 7, "a value is missing"),
        ("weight>5x", 7, "as 4096, 10M or 1.5G"),
        ("weight>M", 7, "is no value of weight"),
        ("number=1.5", 7, "a whole number"),
        ("age<5parsecs", 4, "as 500ms, 2s"),
        ("owner=no-such-user", 6, "no user of this name"),
        ("state=tired", 6, "it takes one of R (running)"),
        ("name<b", 0, "has no less and more"),
        ("f<5", 0, "has no less and more"),
        ("f=net", 2, "an inode, or whose"),
        ("f=1.weight", 2, "different kinds of things"),
        ("f=1.wieght", 4, "there is no column 'wieght'"),
        ("name=@nobody", 5, "names no process"),
        ("weight<?", 7, "unknown"),
        ("/(/", 0, "no regular expression"),
        ("name~[", 5, "no regular expression"),
        ("(cow", 0, "not closed"),
        ("cow)", 3, "without its '('"),
        ("()", 1, "a term is missing"),
        ("cow or", 6, "a term is missing"),
        ("or cow", 0, "a term is missing"),
        ("cow and", 7, "a term is missing"),
        ("not", 3, "a term is missing"),
        ("=5", 0, "a column is missing"),
        ('name="cow', 5, "not closed"),
        ("'cow", 0, "not closed"),
        ("!" * 51 + "cow", 50, "in one another"),
        ("(" * 51 + "cow", 50, "in one another"),
        ("x" * 4097, 4096, "at most 4096 characters"),
        ("name~" + "x" * 257, 5, "at most 256 characters"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_place_and_a_remedy(text, at, says):
    with pytest.raises(FilterError) as caught:
        parse(text, COLUMNS, refer)
    error = caught.value
    assert error.at == at
    assert says in str(error)
    assert f"(at character {at + 1})" in str(error)
    assert "\n" not in str(error)
    assert error.pointer().splitlines()[1].strip() == "^"


def test_the_caret_stands_below_the_place_even_after_what_is_escaped():
    with pytest.raises(FilterError) as caught:
        parse('"\x1b\n" wieght=1', COLUMNS)
    shown, caret = caught.value.pointer().splitlines()
    assert shown[caret.index("^") :].startswith("wieght")


def test_references_need_somebody_who_knows_them():
    with pytest.raises(FilterError, match="not compared with one another"):
        parse("f=init", COLUMNS)


def test_a_filter_tells_what_it_reads():
    filter = parse("weight>5 (f=init or f=12.meadow) cow", COLUMNS, refer)
    assert filter.columns == {"weight", "ns.field"}
    assert filter.references == {"init", "12"}
    assert not filter.is_empty
    assert parse(" ", COLUMNS).is_empty


def test_dear_columns_are_read_only_where_cheap_ones_leave_it_open():
    read = []
    dear = Column("dear", "DEAR", NUMBER, lambda row: read.append(row.number) or 1, cost=2)
    filter = parse("dear=1 name=dog", (*COLUMNS, dear))
    assert filter.cost == 2
    assert filter.select(HERD) == [DOG]
    assert read == [DOG.number, CAT.number]  # CAT's name is not known


ALPHABET = some.sampled_from(
    [
        *"()|&!=<>~:?@/\\\"' \n.*+[]{}^$ab1µ≠\x00\udc80\u202e",
        "name",
        "weight",
        "f",
        "or",
        "not",
        "and",
        "parent",
        "12.f",
        "5M",
    ]
)
TEXTS = some.lists(ALPHABET, max_size=30).map("".join) | some.text(max_size=40)


@given(TEXTS)
def test_any_text_is_a_filter_or_refused_and_what_is_printed_means_the_same(text):
    try:
        filter = parse(text, COLUMNS, refer)
    except FilterError as caught:
        refused = caught
    else:
        refused = None
    if refused is not None:
        assert 0 <= refused.at <= len(text)
        assert str(refused).isprintable()
        assert all(line.isprintable() for line in refused.pointer().splitlines())
        return
    again = parse(str(filter), COLUMNS, refer)
    assert again == filter
    assert str(again) == str(filter)
    assert [again.matches(row) for row in HERD] == [filter.matches(row) for row in HERD]

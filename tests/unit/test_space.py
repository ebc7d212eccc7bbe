"""A space maps rows of numbers to designs: every row means one design, every design has one canonical row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchers.space import Choice, Condition, Genomes, Integer, Knob, Real, Space, Vector
from workloads.errors import StudyError

FEW = settings(max_examples=60, deadline=None)

# Each knob by itself


def test_a_choice_stands_for_its_options_in_their_order() -> None:
    knob = Choice(("small", 3, 2.5, True))
    assert knob.places == 4
    assert [knob.value(gene) for gene in (0.0, 1.0, 2.0, 3.0)] == ["small", 3, 2.5, True]


@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [(3, 3, 1, [3]), (-1, 2, 1, [-1, 0, 1, 2]), (32, 100, 32, [32, 64, 96]), (5, 9, 10, [5]), (5, 4, 1, [])],
)
def test_an_integer_stands_for_every_step_up_to_high(low: int, high: int, step: int, values: list[int]) -> None:
    knob = Integer(low, high, step)
    assert [knob.value(place) for place in range(knob.places)] == values


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), gene=st.floats(0, 1))
def test_a_real_stands_for_its_share_of_the_way(low: float, width: float, gene: float) -> None:
    knob = Real(low, low + width)
    assert knob.places == 0
    assert knob.value(gene) == pytest.approx(low + gene * width, rel=1e-12, abs=1e-6)


def test_a_logarithmic_real_spreads_over_orders_of_magnitude() -> None:
    knob = Real(1.0, 1e4, log=True)
    assert [knob.value(gene) for gene in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([1.0, 10.0, 100.0, 1e4])


@FEW
@given(
    low=st.floats(1e-9, 1e9),
    factor=st.floats(1.0, 1e6),
    gene=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    log=st.booleans(),
)
def test_a_real_never_leaves_its_range(low: float, factor: float, gene: float, log: bool) -> None:
    high = low * factor
    assert low <= Real(low, high, log).value(gene) <= high


@pytest.mark.parametrize("log", [False, True])
def test_the_ends_of_a_real_are_exact(log: bool) -> None:
    # A machine refuses a clock a rounding error beyond its limit.
    knob = Real(1e6, 1e10, log)
    assert (knob.value(0.0), knob.value(1.0)) == (1e6, 1e10)


@pytest.mark.parametrize(
    "knob",
    [
        Choice(()),
        Integer(2, 1),
        Real(2.0, 1.0),
        Real(0.0, 1.0, log=True),
        Vector(Choice((1,)), 0),
        Vector(Choice(()), 2),
    ],
    ids=str,
)
def test_a_knob_without_a_value_is_refused(knob: Knob) -> None:
    with pytest.raises(StudyError, match=r"^space: knob = .*, need at least one value$"):
        Space({"fine": Choice((1, 2)), "knob": knob})


def test_a_space_without_knobs_is_refused() -> None:
    with pytest.raises(StudyError, match=r"^space: knobs is missing, need at least one thing to choose$"):
        Space({})


def test_values_are_told_by_knob() -> None:
    space = Space(
        {
            "name": Choice(("a", "b")),
            "sizes": Vector(Integer(10, 30, 10), 3),
            "share": Real(0.0, 2.0),
            "shares": Vector(Real(1.0, 100.0, log=True), 2),
        }
    )
    assert len(space) == 7
    assert space.places.tolist() == [2, 3, 3, 3, 0, 0, 0]
    assert [space.genes(name) for name in space.knobs] == [slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 7)]
    candidate = space.candidate([1, 0, 2, 1, 0.25, 0.0, 0.5])
    shares = candidate.pop("shares")
    assert candidate == {"name": "b", "sizes": (10, 30, 20), "share": 0.5}
    assert shares == pytest.approx((1.0, 10.0))


def test_the_size_counts_discrete_candidates() -> None:
    space = Space({"a": Choice((1, 2)), "b": Vector(Integer(1, 5), 4), "c": Real(0.0, 1.0)})
    assert space.size_log10 == pytest.approx(np.log10(2 * 5**4))


def test_integers_stay_python_integers() -> None:
    # Values end up in layer tables, TOML and CSV: numpy's integers print differently.
    values = Space({"a": Integer(1, 4), "b": Vector(Integer(1, 4), 2)}).candidate(np.array([3.0, 0.0, 2.0]))
    assert [type(value) for value in (values["a"], *values["b"])] == [int, int, int]  # type: ignore[misc]


# Conditions

ON = frozenset({"on"})


def chain() -> Space:
    """``a`` switches ``b`` on, ``b`` switches ``c`` on."""
    switch = Choice(("off", "on"))
    return Space(
        {"a": switch, "b": switch, "c": Choice((7, 8, 9))},
        {"b": Condition("a", (0,), (ON,)), "c": Condition("b", (0,), (ON,))},
    )


@pytest.mark.parametrize(
    ("genome", "active", "canonical"),
    [
        ((0, 0, 2), (True, False, False), (0, 0, 0)),
        ((0, 1, 2), (True, False, False), (0, 0, 0)),
        ((1, 0, 2), (True, True, False), (1, 0, 0)),
        ((1, 1, 2), (True, True, True), (1, 1, 2)),
    ],
)
def test_what_hangs_on_an_unused_gene_is_unused(
    genome: tuple[int, ...], active: tuple[bool, ...], canonical: tuple[int, ...]
) -> None:
    row = np.array([genome], dtype=float)
    assert tuple(chain().active(row)[0]) == active
    assert tuple(chain().canonical(row)[0]) == canonical


def test_conditions_may_be_given_in_any_order() -> None:
    switch = Choice(("off", "on"))
    conditions = {"c": Condition("b", (0,), (ON,)), "b": Condition("a", (0,), (ON,))}
    space = Space({"a": switch, "b": switch, "c": Choice((7, 8, 9))}, conditions)
    assert space.canonical(np.array([[0.0, 1.0, 2.0]])).tolist() == [[0.0, 0.0, 0.0]]


def test_every_gene_of_a_vector_may_hang_on_another() -> None:
    # Two stages of one or two blocks: a block is used while its place is below its stage's depth.
    used = tuple(frozenset(depth for depth in (1, 2) if depth > place) for place in (0, 1, 0, 1))
    space = Space(
        {"depth": Vector(Choice((1, 2)), 2), "kernel": Vector(Choice((3, 5)), 4)},
        {"kernel": Condition("depth", (0, 0, 1, 1), used)},
    )
    rows = np.array([[0, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 1]], dtype=float)
    assert space.canonical(rows).tolist() == [[0, 1, 1, 0, 1, 1], [1, 0, 1, 1, 1, 0]]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"b": Condition("r", (0,), (ON,))}, "condition of b = r, need a discrete knob declared before"),
        ({"b": Condition("nothing", (0,), (ON,))}, "condition of b = nothing, need a discrete knob declared before"),
        ({"b": Condition("b", (0,), (ON,))}, "condition of b = b, need a discrete knob declared before"),
        ({"b": Condition("c", (0,), (ON,))}, "condition of b = c, need a discrete knob declared before"),
        ({"b": Condition("a", (0, 0), (ON, ON))}, "condition of b = 2, need 1 places"),
        ({"b": Condition("a", (0,), (ON, ON))}, "condition of b = 1, need 1 places"),
    ],
)
def test_an_impossible_condition_is_refused(conditions: dict[str, Condition], message: str) -> None:
    switch = Choice(("off", "on"))
    with pytest.raises(StudyError) as caught:
        Space({"r": Real(0.0, 1.0), "a": switch, "b": switch, "c": switch}, conditions)
    assert str(caught.value) == f"space: {message}"


@pytest.mark.parametrize("place", [-1, 1])
def test_a_condition_on_a_gene_its_knob_does_not_have_is_refused(place: int) -> None:
    switch = Choice(("off", "on"))
    with pytest.raises(StudyError):
        Space({"x": switch, "a": switch, "y": switch, "b": switch}, {"b": Condition("a", (place,), (ON,))})


def test_a_condition_of_an_unknown_knob_is_refused() -> None:
    with pytest.raises(StudyError):
        Space({"a": Choice(("off", "on"))}, {"b": Condition("a", (0,), (ON,))})


# Laws of all spaces


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    knobs: dict[str, Knob] = {}
    conditions: dict[str, Condition] = {}
    for index in range(draw(st.integers(1, 5))):
        name = f"k{index}"
        element = draw(
            st.one_of(
                st.integers(1, 4).map(lambda count: Choice(tuple(range(10, 10 + count)))),
                st.builds(Integer, st.integers(-3, 0), st.integers(1, 9), st.integers(1, 3)),
                st.just(Real(1.0, 100.0, log=True)),
            )
        )
        length = draw(st.integers(1, 3))
        knobs[name] = Vector(element, length) if draw(st.booleans()) else element
        length = length if isinstance(knobs[name], Vector) else 1
        parents = [
            parent for parent, knob in list(knobs.items())[:-1] if not isinstance(getattr(knob, "element", knob), Real)
        ]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            knob = knobs[parent]
            choosing, genes = (knob.element, knob.length) if isinstance(knob, Vector) else (knob, 1)
            values = [choosing.value(place) for place in range(choosing.places)]
            places = draw(st.tuples(*[st.integers(0, genes - 1)] * length))
            accepted = draw(st.tuples(*[st.frozensets(st.sampled_from(values))] * length))
            conditions[name] = Condition(parent, places, accepted)
    space = Space(knobs, conditions)
    space.given_conditions = conditions  # type: ignore[attr-defined]
    return space


def rows(space: Space, seed: int) -> Genomes:
    """Return rows far inside, at and outside the ranges."""
    return np.random.default_rng(seed).uniform(-3, 12, (20, len(space)))


def slow_canonical(space: Space, row: Genomes) -> list[float]:
    """Return the canonical row, one gene and one rule at a time."""
    kept: dict[tuple[str, int], float] = {}
    matters: dict[tuple[str, int], bool] = {}
    for name, knob in space.knobs.items():
        element, length = (knob.element, knob.length) if isinstance(knob, Vector) else (knob, 1)
        for place in range(length):
            gene = float(row[space.genes(name)][place])
            if isinstance(element, Real):
                gene = min(max(gene, 0.0), 1.0)
            else:
                gene = min(max(float(round(gene)), 0.0), element.places - 1.0)
            used = True
            condition = space.given_conditions.get(name)  # type: ignore[attr-defined]
            if condition is not None:
                decides = (condition.knob, condition.places[place])
                parent = space.knobs[condition.knob]
                parent = parent.element if isinstance(parent, Vector) else parent
                used = matters[decides] and parent.value(kept[decides]) in condition.accepted[place]
            matters[name, place], kept[name, place] = used, gene if used else 0.0
    return list(kept.values())


@FEW
@given(space=spaces(), seed=st.integers(0, 999))
def test_canonical_equals_the_rule_gene_by_gene(space: Space, seed: int) -> None:
    given_rows = rows(space, seed)
    assert space.canonical(given_rows).tolist() == [slow_canonical(space, row) for row in given_rows]


@FEW
@given(space=spaces(), seed=st.integers(0, 999))
def test_canonical_is_idempotent_and_leaves_its_argument(space: Space, seed: int) -> None:
    given_rows = rows(space, seed)
    before = given_rows.copy()
    once = space.canonical(given_rows)
    assert np.array_equal(space.canonical(once), once)
    assert np.array_equal(given_rows, before)


@FEW
@given(space=spaces(), seed=st.integers(0, 999))
def test_equal_designs_have_equal_genomes(space: Space, seed: int) -> None:
    first = space.canonical(rows(space, seed))
    second = first + ~space.active(first) * np.random.default_rng(seed).integers(0, 3, first.shape)
    assert np.array_equal(space.canonical(second), first)
    designs = {repr(space.candidate(row)): tuple(row) for row in first}
    assert all(designs[repr(space.candidate(row))] == tuple(row) for row in first)


@pytest.mark.parametrize("knob", [Choice((4, 4, 8)), Real(5.0, 5.0)], ids=str)
def test_equal_values_have_equal_genes(knob: Knob) -> None:
    try:
        space = Space({"knob": knob, "other": Choice((1, 2))})
    except StudyError:
        return  # refusing such a knob is as good
    genomes = space.random(np.array([[share, 0.0] for share in (0.0, 0.2, 0.4)]))
    same = [tuple(row) for row in genomes if space.candidate(row) == space.candidate(genomes[0])]
    assert len(set(same)) == 1


@FEW
@given(space=spaces(), seed=st.integers(0, 999))
def test_random_genomes_are_canonical_and_in_range(space: Space, seed: int) -> None:
    shares = np.random.default_rng(seed).random((30, len(space)))
    shares[0], shares[1] = 0.0, np.nextafter(1.0, 0.0)
    genomes = space.random(shares)
    assert np.array_equal(space.canonical(genomes), genomes)
    discrete = space.places > 0
    assert (genomes >= 0).all()
    assert (genomes[:, discrete] < space.places[discrete]).all()
    assert (genomes[:, discrete] % 1 == 0).all()
    assert (genomes[:, ~discrete] <= 1).all()


def test_random_genomes_reach_every_value_alike() -> None:
    space = Space({"knob": Choice(tuple("abcde"))})
    shares = (np.arange(1000) + 0.5)[:, None] / 1000
    assert np.bincount(space.random(shares)[:, 0].astype(int)).tolist() == [200] * 5

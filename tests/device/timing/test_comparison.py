from __future__ import annotations

import numpy as np
import pytest
from bench_depth.timing.comparison import MIN_ROUNDS, Comparison, apart, in_turn
from bench_depth.timing.measure import Timing, summarize


def timing(rounds: list[list[float]]) -> Timing:
    times = [round(ms * 1e6) for part in rounds for ms in part]
    return Timing(times, summarize(times), [len(part) for part in rounds])


def noisy(generator: np.random.Generator, ms: float, loads: np.ndarray, runs: int = 6) -> Timing:
    return timing([list(ms * load * generator.lognormal(0, 0.02, runs)) for load in loads])


def test_the_ratio_is_the_geometric_mean_over_rounds_of_the_ratio_of_medians() -> None:
    first = timing([[1, 2, 9], [4, 4]] * 3)
    second = timing([[4, 4], [2, 2, 2]] * 3)
    found = in_turn(first, second, "second")
    assert found.ratio == pytest.approx(((2 / 4) * (4 / 2)) ** 0.5)
    assert found.reference == "second"
    assert found.rounds == 6


def test_a_load_that_slows_both_does_not_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    loads = generator.uniform(1, 3, 30)
    first, second = noisy(generator, 5, loads), noisy(generator, 10, loads)
    turns, separate = in_turn(first, second, "b"), apart(first, second, "b")
    assert turns.low is not None and turns.high is not None
    assert separate.low is not None and separate.high is not None
    assert turns.low < 0.5 < turns.high
    assert (turns.high - turns.low) * 5 < separate.high - separate.low


@pytest.mark.same_everywhere
def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        loads = generator.lognormal(0, 0.3, 20)
        first = noisy(generator, 7, loads * generator.lognormal(0, 0.05, 20))
        found = in_turn(first, noisy(generator, 10, loads), "b")
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.7 <= found.high
    # 95 % nominal; the percentile bootstrap over 20 rounds covers a little less.
    assert 0.88 <= hits / 200 <= 0.99


@pytest.mark.parametrize(("factor", "verdict"), [(0.8, "faster"), (1.25, "slower")])
def test_a_clear_difference_is_called_by_its_name(factor: float, verdict: str) -> None:
    generator = np.random.default_rng(3)
    reference = noisy(generator, 10, np.ones(20))
    assert apart(noisy(generator, 10 * factor, np.ones(20)), reference, "r").verdict == verdict


def test_equal_models_rarely_show_a_difference() -> None:
    verdicts = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        reference, same = noisy(generator, 10, np.ones(20)), noisy(generator, 10, np.ones(20))
        verdicts.append(in_turn(same, reference, "r").verdict)
    # One in twenty by the interval's own meaning.
    assert verdicts.count("no difference shown") >= 34


def test_few_rounds_give_a_ratio_but_no_interval() -> None:
    few = timing([[1.0]] * (MIN_ROUNDS - 1))
    found = in_turn(few, few, "r")
    assert found == Comparison("r", 1.0, None, None, MIN_ROUNDS - 1)
    assert "too few" in found.verdict


def test_times_without_rounds_are_taken_ten_at_a_time() -> None:
    times = [10_000_000] * 65
    assert apart(Timing(times, summarize(times)), timing([[10.0]] * 30), "r").rounds == 6

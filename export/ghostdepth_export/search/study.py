"""One worker of a search: takes a network from the study, predicts its latency, trains it briefly.

All that workers share is the study's database. A worker that dies leaves a trial without a
heartbeat; whichever worker looks next marks it failed and puts it into the queue again.
"""

from __future__ import annotations

import contextlib
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import plain_name, require_writable
from ghostdepth_export.host.cache import locked
from ghostdepth_export.search.front import trained_networks
from ghostdepth_export.search.space import SearchSpace
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.models.summary import layer_costs
from ghostdepth_train.pruning.latency import LatencyBudget

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

NAME = "ghostdepth"
# Seconds between signs of life, and without one until a trial counts as dead.
HEARTBEAT = (15, 90)
# A search whose trials fail one after the other is not going anywhere.
FAILURES = 3

# A network -> predicted milliseconds.
PredictCost = Callable[[DepthNet], float]
# What to train, in which folder, resumed where it was left -> si-RMSE.
Train = Callable[[TrainConfig, Path], float]


@dataclass(frozen=True)
class StudyPlan:
    """What a study is about; all its workers have the same.

    Attributes:
        space: The networks that are searched.
        budget: Networks above it are not trained.
        training: Training settings of a trial; its network has the fields that the space does not
            choose.
        data: Name of the training and validation data.
        patience: Evaluations without a better one after which a trial's training ends; None for no
            limit.
    """

    space: SearchSpace
    budget: LatencyBudget
    training: TrainConfig
    data: str
    patience: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        parts = {"space": self.space, "budget": self.budget, "training": self.training}
        # Absent where there is none, as in the studies from before there was one.
        more = {} if self.patience is None else {"patience": self.patience}
        return {"data": self.data, **more} | {
            k: v.model_dump(mode="json") for k, v in parts.items()
        }


def study_url(path: Path) -> str:
    """The address of a local database file."""
    return f"sqlite:///{path.absolute()}"


def open_study(url: str, plan: StudyPlan, heartbeat: tuple[int, int] = HEARTBEAT) -> Study:
    """Opens or makes the study of a database.

    Args:
        url: As SQLAlchemy spells it: `sqlite:////folder/study.db`, `postgresql://...`.
        plan: Plan of the study.
        heartbeat: See `HEARTBEAT`.

    Raises:
        UserError: Optuna is missing, the database cannot be opened, is in memory only or of another
            search, or a trial in it is damaged.
    """
    optuna = _optuna()
    if re.fullmatch(r"sqlite[^:]*:/*(:memory:)?", url) or "?mode=memory" in url:
        raise UserError(f"{url} is in memory and ends with this process; name a file")
    # Workers wait for each other's writes instead of giving up after five seconds.
    local = url.startswith("sqlite")
    engine = {"connect_args": {"timeout": 120}} if local else {}
    interval, grace = heartbeat
    file = Path(url.partition(":///")[2])
    alone = locked(require_writable(file)) if local else contextlib.nullcontext()
    with _readable(url), alone, _quiet():
        storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs=engine,
            heartbeat_interval=interval,
            grace_period=grace,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        )
        study: Study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            directions=["minimize", "minimize"],
            sampler=optuna.samplers.TPESampler(multivariate=False),
            load_if_exists=True,
        )
        known = study.user_attrs.get("plan")
        if known is None:
            study.set_user_attr("plan", plan.to_json())
    if known not in (None, plan.to_json()):
        own, held = plan.to_json(), known if isinstance(known, dict) else {}
        parts = ", ".join(key for key in {**held, **own} if held.get(key) != own.get(key))
        shown = _without_password(url)
        raise UserError(f"{shown} holds a search with another {parts}; choose another --study")
    with _readable(url):
        _require_sound(study, plan)
    return study


def _without_password(url: str) -> str:
    return re.sub(r"(://[^/:@]*):.*@", r"\1:***@", url)


@contextlib.contextmanager
def _readable(url: str) -> Iterator[None]:
    """Refuses a study in which anything is damaged."""
    try:
        yield
    except UserError:
        raise
    # What is damaged is met by SQLite, SQLAlchemy, Optuna or json, each with errors of its own.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"cannot open the study {_without_password(url)}: {reason[:200]}; if it is damaged, "
            "choose another --study"
        ) from error


def _require_sound(study: Study, plan: StudyPlan) -> None:
    """Reads all that a search reads later of the trials: a damaged one raises some error."""
    if len(study.directions) != 2:
        raise ValueError(f"it has {len(study.directions)} objectives instead of 2")
    category = _optuna().distributions.CategoricalDistribution
    choices = {name: category(values) for name, values in plan.space.choices.items()}
    for trial in study.get_trials(deepcopy=False):
        for name, values in trial.distributions.items():
            if values != choices.get(name):
                raise ValueError(f"{name} of trial {trial.number} is not of the search's space")
    trained_networks(study)


class Worker:
    """Runs trials until the study has enough.

    Args:
        study: Study that `open_study` returned.
        plan: The study's.
        cost: Predicts.
        train: Trains.
        out: Folder for the runs, `out/trial-0007`.
        say: Called with one line of progress text.
        on_trial: Called after each of this worker's trials with the number of trials of the study
            that are done, and the mean seconds of one of this worker's.
        poll: Seconds between looks while only other workers' trials are left.
    """

    def __init__(
        self,
        study: Study,
        plan: StudyPlan,
        cost: PredictCost,
        train: Train,
        out: Path,
        say: Callable[[str], None] = lambda _: None,
        on_trial: Callable[[int, float], None] = lambda done, seconds: None,
        poll: float = 5.0,
    ) -> None:
        self.study, self.plan, self.cost, self.train, self.out = study, plan, cost, train, out
        self.say, self.on_trial, self.poll = say, on_trial, poll
        self._failures: list[str] = []
        self._seen: set[int] = set()

    def run(self, trials: int, minutes: float | None = None) -> int:
        """Runs until `trials` trials of the study, of all workers, are trained or pruned.

        Args:
            trials: Number of trials.
            minutes: It ends before a trial that, being as long as this worker's mean one, does not
                fit into them; at least one is run. None for no limit.

        Returns:
            The number of trials that are done.

        Raises:
            UserError: Several trials in a row failed; the line is the last one's.
        """
        optuna = _optuna()
        begin, own, waited = time.monotonic(), 0, False
        with _quiet():
            while True:
                optuna.storages.fail_stale_trials(self.study)
                self._give_sign_of_life()
                done, running = self.count()
                elapsed = time.monotonic() - begin
                late = minutes is not None and elapsed * (1 + 1 / max(own, 1)) > 60 * minutes
                begins = done + running < trials
                if done >= trials or (late and (own or not begins)):
                    return done
                if begins:
                    self.study.optimize(self._trial, n_trials=1, catch=(UserError,))
                    if len(self._failures) >= FAILURES:
                        raise UserError(f"{FAILURES} trials in a row failed: {self._failures[-1]}")
                    own, waited = own + 1, False
                    self.on_trial(self.count()[0], (time.monotonic() - begin) / own)
                    continue
                if not waited:
                    self.say(
                        "waiting for the trials of other workers; one without a sign of life "
                        f"for {HEARTBEAT[1]} s is queued again"
                    )
                    waited = True
                time.sleep(self.poll)

    def _give_sign_of_life(self) -> None:
        """Once for each trial that runs elsewhere, in its worker's place.

        A worker that was killed before its first one would leave a trial that never counts as dead.
        """
        running = (_optuna().trial.TrialState.RUNNING,)
        for trial in self.study.get_trials(deepcopy=False, states=running):
            if trial._trial_id not in self._seen:
                self._seen.add(trial._trial_id)
                self.study._storage.record_heartbeat(trial._trial_id)

    def count(self) -> tuple[int, int]:
        """The number of trials that are trained or pruned, and of those that run."""
        state = _optuna().trial.TrialState
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        done = states.count(state.COMPLETE) + states.count(state.PRUNED)
        return done, states.count(state.RUNNING)

    def _trial(self, trial: Trial) -> tuple[float, float]:
        try:
            values = self._measure(trial)
        except UserError as error:
            self._failures.append(str(error))
            self.say(f"trial {trial.number} failed: {error}")
            raise
        except KeyboardInterrupt:
            # Optuna marks it failed; only dead ones are queued again by themselves.
            self.study.enqueue_trial(trial.params, user_attrs={"run": self._run(trial)})
            raise
        self._failures.clear()
        return values

    def _measure(self, trial: Trial) -> tuple[float, float]:
        optuna = _optuna()
        config = self.plan.space.suggest(trial, self.plan.training.network)
        run = self._run(trial)
        network = DepthNet(config)
        # Counting a file of a new shape takes minutes.
        what = ", ".join(f"{key} {value}" for key, value in trial.params.items())
        self.say(f"trial {trial.number}: {what}")
        ms = self.cost(network)
        rows = layer_costs(network)
        for name, value in {
            "run": run,
            "ms": ms,
            "macs": sum(row.macs for row in rows),
            "parameters": sum(row.parameters for row in rows),
            "network": config.model_dump(mode="json"),
        }.items():
            trial.set_user_attr(name, value)
        budget = self.plan.budget.ms
        if "budget" not in trial.constraints:  # A trial that is repeated has it.
            trial.set_constraint("budget", ms - budget)
        over = ms > budget
        self.say(f"trial {trial.number}: {ms:.2f} ms{', over the budget' * over}")
        if over:
            self._failures.clear()
            raise optuna.TrialPruned
        twin = self._twin(trial)
        if twin is not None:
            return ms, float(twin.values[1])
        error = self.train(
            self.plan.training.model_copy(update={"network": config}), self.out / run
        )
        self.say(f"trial {trial.number}: si-RMSE {error:.4f}")
        return ms, error

    def _run(self, trial: Trial) -> str:
        """The name of the run's folder, which a repeated trial continues with."""
        name = trial.user_attrs.get("run", f"trial-{trial.number:04d}")
        return plain_name(name, f"the run of trial {trial.number} in the study")

    def _twin(self, trial: Trial) -> FrozenTrial | None:
        """A trial of the same network that has been trained."""
        complete = _optuna().trial.TrialState.COMPLETE
        trained = self.study.get_trials(deepcopy=False, states=(complete,))
        return next((other for other in trained if other.params == trial.params), None)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UserError("search needs Optuna: pip install 'ghostdepth[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _quiet() -> Any:
    """Heartbeats are marked experimental, and every call of them says so."""
    category = _optuna().exceptions.ExperimentalWarning
    return warnings.catch_warnings(action="ignore", category=category)

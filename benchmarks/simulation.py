"""A Spark job of many tasks on executors that are lost now and then, simulated event by event."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from statistics import NormalDist

import clone  # noqa: F401
import numpy as np

from deepfake.jobs.spark_tasks import ATTEMPTS, JOBS, TASKS_A_CORE


@dataclass(frozen=True)
class Cluster:
    """One executor on each of the nodes, which runs as many tasks at a time as it has cores.

    `losses` is how many executors a node loses in an hour; another one is there `replaced` seconds later. The driver
    starts tasks one after another, each in `launch` seconds. It hands out the videos by jobs of `tasks_a_core` for each
    core (all in one, if that is 0), `jobs` of them at a time.
    """

    nodes: int
    cores: int
    losses: float = 0
    replaced: float = 30
    launch: float = 0
    jobs: int = JOBS
    tasks_a_core: int = TASKS_A_CORE

    @property
    def slots(self) -> int:
        return self.nodes * self.cores


@dataclass(frozen=True)
class Result:
    """What a job took: seconds from start to end, and core seconds that were of use, and that were lost and redone."""

    makespan: float
    useful: float
    lost: float
    executors_lost: int
    given_up: int
    slots: int

    @property
    def utilisation(self) -> float:
        """The share of all cores' time in which they did what was of use."""
        return self.useful / (self.slots * self.makespan)

    @property
    def share_lost(self) -> float:
        """The share of the work that was done for nothing."""
        return self.lost / (self.useful + self.lost)


@dataclass(frozen=True)
class Durations:
    """The seconds of tasks: log-normal about a median, and a share of stragglers so many times slower."""

    median: float
    sigma: float
    stragglers: float = 0
    slower: float = 1

    def draw(self, tasks: int, seed: int = 0) -> np.ndarray:
        """The seconds of so many tasks, float64."""
        rng = np.random.default_rng(seed)
        seconds = rng.lognormal(np.log(self.median), self.sigma, tasks)
        return np.where(rng.random(tasks) < self.stragglers, self.slower, 1) * seconds


def fit_durations(seconds: Sequence[float]) -> Durations:
    """The log-normal distribution with the median of measured seconds and their quantiles at 10 and 90 %."""
    low, median, high = np.quantile(seconds, (0.1, 0.5, 0.9))
    return Durations(float(median), float(np.log(high / low) / (2 * NormalDist().inv_cdf(0.9))))


def simulate(seconds: Sequence[float], cluster: Cluster, seed: int = 0, deadly: Collection[int] = ()) -> Result:
    """Run tasks of so many seconds in their order, as slots fall free.

    A lost executor's running tasks are the next to be started elsewhere; what was finished is on the disk already. The
    tasks numbered in `deadly` kill their worker process at their end, and nothing else. A task that has failed twice,
    for whatever reason, is given up at its third attempt without any work.
    """
    return _Job(seconds, cluster, seed, frozenset(deadly)).run()


class _Job:
    """The state of a job: what waits, which slots are free, what runs where, and the events to come."""

    def __init__(self, seconds: Sequence[float], cluster: Cluster, seed: int, deadly: frozenset[int]) -> None:
        self.seconds, self.cluster, self.rng = list(map(float, seconds)), cluster, np.random.default_rng(seed)
        self.deadly, self.waiting = deadly, deque[int]()
        self.failures = [0] * len(self.seconds)
        self.left = len(self.seconds)
        self.job_size = cluster.tasks_a_core * cluster.slots or len(self.seconds)
        starts = range(0, len(self.seconds), self.job_size)
        self.jobs_left = [min(self.job_size, len(self.seconds) - start) for start in starts]
        self.jobs_begun = self.jobs_ended = 0
        self.free: deque[tuple[int, int]] = deque()  # a node, and which of its executors, one after another
        self.executor = [0] * cluster.nodes
        self.running: list[dict[int, float]] = [{} for _ in range(cluster.nodes)]  # the tasks, and since when
        self.driver_free = self.now = self.useful = self.lost = 0.0
        self.executors_lost = self.given_up = 0
        self.order = count()  # of events at the same time
        self.events: list[tuple] = []

    def run(self) -> Result:
        for node in range(self.cluster.nodes):
            self._at(0, self._start_executor, node, 0)
        while self.left:
            self.now, _, happen, node, executor, *task = heappop(self.events)
            if executor == self.executor[node]:  # else of an executor that is no more
                happen(node, executor, *task)
                self._start_jobs()
                self._start_tasks()
        slots = self.cluster.slots
        return Result(self.now, self.useful, self.lost, self.executors_lost, self.given_up, slots)

    def _at(self, time: float, happen, *what: int) -> None:
        heappush(self.events, (time, next(self.order), happen, *what))

    def _start_executor(self, node: int, executor: int) -> None:
        self.free.extend([(node, executor)] * self.cluster.cores)
        if self.cluster.losses:
            self._at(self.now + self.rng.exponential(3600 / self.cluster.losses), self._lose_executor, node, executor)

    def _start_jobs(self) -> None:
        while self.jobs_begun < min(len(self.jobs_left), self.jobs_ended + self.cluster.jobs):
            first = self.jobs_begun * self.job_size
            self.waiting.extend(range(first, first + self.jobs_left[self.jobs_begun]))
            self.jobs_begun += 1

    def _start_tasks(self) -> None:
        while self.waiting and self.free:
            node, executor = self.free.popleft()
            if executor == self.executor[node]:
                task = self.waiting.popleft()
                start = max(self.now, self.driver_free)
                self.driver_free = start + self.cluster.launch
                self.running[node][task] = self.driver_free
                self._at(self.driver_free + self.seconds[task], self._end_task, node, executor, task)

    def _end_task(self, node: int, executor: int, task: int) -> None:
        del self.running[node][task]
        self.free.append((node, executor))
        if task in self.deadly:
            self._fail(task, self.seconds[task])
        else:
            self.useful += self.seconds[task]
            self._settle(task)

    def _lose_executor(self, node: int, executor: int) -> None:
        self.executors_lost += 1
        for task, since in self.running[node].items():
            self._fail(task, max(0.0, self.now - since))
        self.running[node] = {}
        self.executor[node] += 1
        self._at(self.now + self.cluster.replaced, self._start_executor, node, self.executor[node])

    def _fail(self, task: int, seconds: float) -> None:
        self.lost += seconds
        self.failures[task] += 1
        if self.failures[task] < ATTEMPTS - 1:
            self.waiting.appendleft(task)
        else:
            self.given_up += 1
            self._settle(task)

    def _settle(self, task: int) -> None:
        self.left -= 1
        self.jobs_left[task // self.job_size] -= 1
        self.jobs_ended += self.jobs_left[task // self.job_size] == 0

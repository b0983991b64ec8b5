"""What the catalogues of this process hold, as gauges."""

from collections.abc import Callable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.recommendations.directory import StateDirectory
from app.recommendations.index_reports import index_reports
from app.recommendations.state import ProjectState


class CatalogueMetrics:
    """A collector for a `prometheus_client` registry.

    Args:
        directory: holds the projects.
        names: gives the projects' names by number.
    """

    def __init__(self, directory: StateDirectory, *, names: Callable[[], Mapping[int, str]]) -> None:
        self._directory = directory
        self._names = names

    def describe(self) -> list[Metric]:
        """Nothing, so that registering reads nothing."""
        return []

    def collect(self) -> list[Metric]:
        """One sample a project, of the vectors and their index one a version."""
        families = _Families()
        names = self._names()
        for state in self._directory.states():
            families.add(names.get(state.project, str(state.project)), state)
        return families.all


class _Families:
    """The gauges of one scrape."""

    def __init__(self) -> None:
        of_version = ["project", "version"]
        self._items = GaugeMetricFamily(
            "crossan_catalogue_items", "Items in this process's memory.", labels=["project"]
        )
        self._vectors = GaugeMetricFamily(
            "crossan_catalogue_vector_bytes",
            "Memory of the item vectors of a version; the processes of a machine share nearly all of it.",
            labels=of_version,
        )
        self._index = GaugeMetricFamily(
            "crossan_index_bytes",
            "Memory that the index of a version takes beside the vectors.",
            labels=[*of_version, "kind"],
        )
        self._recall = GaugeMetricFamily(
            "crossan_index_recall",
            "Share of the exact best that the index found when it was built; 1 for the exact one.",
            labels=of_version,
        )
        self._seconds = GaugeMetricFamily(
            "crossan_index_build_seconds", "Time that building the index took.", labels=of_version
        )

    @property
    def all(self) -> list[Metric]:
        return [self._items, self._vectors, self._index, self._recall, self._seconds]

    def add(self, project: str, state: ProjectState) -> None:
        self._items.add_metric([project], len(state.catalogue))
        for name, version in list(state.versions.items()):
            self._vectors.add_metric([project, name], version.vectors.size_bytes)
        for name, report in index_reports(state).items():
            self._index.add_metric([project, name, report.kind], report.size_bytes)
            self._recall.add_metric([project, name], 1.0 if report.recall is None else report.recall)
            self._seconds.add_metric([project, name], report.build_s)

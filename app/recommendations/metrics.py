"""What the catalogues of this process hold, as gauges."""

from collections.abc import Callable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.recommendations.directory import StateDirectory


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
        """One sample a project, of the vectors one a version."""
        items = GaugeMetricFamily("crossan_catalogue_items", "Items in this process's memory.", labels=["project"])
        size = GaugeMetricFamily(
            "crossan_catalogue_vector_bytes", "Memory of the item vectors of a version.", labels=["project", "version"]
        )
        names = self._names()
        for state in self._directory.states():
            project = names.get(state.project, str(state.project))
            items.add_metric([project], len(state.catalogue))
            for name, version in list(state.versions.items()):
                size.add_metric([project, name], version.vectors.size_bytes)
        return [items, size]

"""Encoders that serving versions have changed, loaded when something waits for them and kept, a few at a time."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from functools import partial

import structlog

from app.core.types import ProjectId
from app.db.session import Database
from app.items.encoding import FAULTS, FrozenEncoder, OwnEncoder
from app.models.beside import BesideRepository
from app.models.repository import ModelRepository
from app.stores.artifacts import ArtifactStore
from model.adapted import load_adapted
from model.artifact import ArtifactError, load_manifest
from model.encoders.base import EncoderError

log = structlog.get_logger(__name__)

KEPT = 8
"""Encoders in memory besides those in charge; the longest unused one goes first."""

UNLOADABLE = (ArtifactError, EncoderError, *FAULTS)
"""A damaged version, a model that is gone or another one now, options of the past, no memory left on the device."""


class LiveEncoderCache:
    """Finds the encoders of the versions that serve projects.

    Args:
        database: knows which versions serve.
        artifacts: published versions.
        in_charge: the encoders of this process, by modality; versions that started from one of them load it from
            where it lies now.
        device: as torch names it.
    """

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        *,
        in_charge: Mapping[str, FrozenEncoder],
        device: str,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._specs = {encoder.fingerprint: encoder.spec for encoder in in_charge.values()}
        self._device = device
        self._loaded: OrderedDict[tuple[ProjectId, str], FrozenEncoder] = OrderedDict()

    def of(self, project: ProjectId) -> list[OwnEncoder]:
        """Own encoders of the live version and of those beside it; those of the other versions are let go."""
        with self._database.transaction() as transaction:
            live = ModelRepository(transaction, project).live()
            served = [*([live] if live else []), *BesideRepository(transaction, project).versions()]
        # Two versions with the same changed encoder, one trained on from the other, load it once.
        own = {names: row.artifact for row in reversed(served) for names in row.own_encoders.items()}
        self._keep(project, [fingerprint for _, fingerprint in own])
        return [OwnEncoder(*names, partial(self._load, project, artifact, *names)) for names, artifact in own.items()]

    def _keep(self, project: ProjectId, fingerprints: Collection[str]) -> None:
        for owner, fingerprint in list(self._loaded):
            if owner == project and fingerprint not in fingerprints:
                del self._loaded[owner, fingerprint]

    def _load(self, project: ProjectId, artifact: str, modality: str, fingerprint: str) -> FrozenEncoder | None:
        """From memory or from disk; None, and a line in the log, while it cannot be loaded."""
        encoder = self._loaded.pop((project, fingerprint), None)
        if encoder is None:
            # Room first: the new one may fit only where an old one was.
            self._shrink(KEPT - 1)
            try:
                encoder = self._read(artifact, modality)
            except UNLOADABLE as error:
                log.error("an encoder of a version cannot be loaded", artifact=artifact, error=str(error))
                return None
        self._loaded[project, fingerprint] = encoder
        return encoder

    def _read(self, artifact: str, modality: str) -> FrozenEncoder:
        folder = self._artifacts.path(artifact)
        manifest = load_manifest(folder)
        entry = {entry.name: entry for entry in manifest.modalities}[modality]
        encoder = load_adapted(folder, manifest, modality, device=self._device, spec=self._specs.get(entry.base))
        log.info("encoder of a version loaded", modality=modality, artifact=artifact)
        return encoder

    def _shrink(self, size: int) -> None:
        while len(self._loaded) > size:
            self._loaded.popitem(last=False)

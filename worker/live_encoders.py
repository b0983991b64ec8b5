"""Encoders that live versions have changed, loaded when a project first needs them and kept, a few at a time."""

from collections import OrderedDict
from collections.abc import Mapping

import structlog

from app.core.types import ProjectId, VersionId
from app.db.session import Database
from app.items.encoding import FrozenEncoder, LiveEncoders
from app.models.repository import ModelRepository
from app.stores.artifacts import ArtifactStore
from model.adapted import load_adapted
from model.artifact import ArtifactError, Manifest, ModalityManifest, load_manifest
from model.encoders.base import EncoderError
from model.encoders.spec import SpecError

log = structlog.get_logger(__name__)

KEPT = 8
"""Encoders in memory besides those in charge; the longest unused one goes first."""


class LiveEncoderCache:
    """Finds the encoders of a project's live version.

    Args:
        database: knows which version is live.
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
        self._loaded: OrderedDict[str, FrozenEncoder] = OrderedDict()

    def of(self, project: ProjectId) -> LiveEncoders | None:
        """The live version's own encoders; None if it has none, or while they cannot be loaded."""
        with self._database.transaction() as transaction:
            live = ModelRepository(transaction, project).live()
        if live is None or not any(modality.get("base") for modality in live.manifest["modalities"]):
            return None
        try:
            manifest = load_manifest(self._artifacts.path(live.artifact))
            own = [entry for entry in manifest.modalities if entry.base]
            encoders = [self._encoder(live.artifact, manifest, entry) for entry in own]
        except (ArtifactError, SpecError, EncoderError) as error:
            log.error("no vectors for new items, the live version's encoders cannot be loaded", error=str(error))
            return None
        return LiveEncoders(VersionId(live.id), encoders)

    def _encoder(self, artifact: str, manifest: Manifest, entry: ModalityManifest) -> FrozenEncoder:
        encoder = self._loaded.pop(entry.encoder, None)
        if encoder is None:
            folder, spec = self._artifacts.path(artifact), self._specs.get(entry.base)
            encoder = load_adapted(folder, manifest, entry.name, device=self._device, spec=spec)
            log.info("encoder of a version loaded", modality=entry.name, artifact=artifact)
        self._loaded[entry.encoder] = encoder
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return encoder

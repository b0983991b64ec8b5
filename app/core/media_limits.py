"""How large a medium may be before anything decodes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaLimits:
    """Bounds checked on the bytes and the header of an upload."""

    text_max_bytes: int = 400_000
    text_max_characters: int = 100_000
    image_max_bytes: int = 20_000_000
    image_max_pixels: int = 50_000_000
    audio_max_bytes: int = 50_000_000
    audio_max_seconds: float = 1_800.0
    video_max_bytes: int = 200_000_000
    video_max_seconds: float = 600.0
    video_max_pixels: int = 8_500_000

    def max_bytes(self, modality: str) -> int:
        """The byte limit of a modality; modalities of no known kind take the image's."""
        return int(getattr(self, f"{modality}_max_bytes", self.image_max_bytes))

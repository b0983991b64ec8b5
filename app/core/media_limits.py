"""How large a medium may be before anything decodes it."""

from dataclasses import dataclass

UTF8_BYTES_A_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What is accepted at most.

    Attributes:
        image_bytes: of an image file.
        image_pixels: width times height of an image.
        audio_bytes: of a sound file.
        audio_seconds: length of a sound.
        video_bytes: of a video file.
        video_seconds: length of a video.
        video_pixels: width times height of a frame.
        text_characters: of a text; its bytes are at most four times as many.
    """

    image_bytes: int = 20_000_000
    image_pixels: int = 50_000_000
    audio_bytes: int = 50_000_000
    audio_seconds: float = 1800.0
    video_bytes: int = 200_000_000
    video_seconds: float = 600.0
    video_pixels: int = 36_000_000
    text_characters: int = 100_000

    def max_bytes(self, modality: str) -> int:
        """The most bytes of one medium; a modality of no known kind counts as a video."""
        if modality == "text":
            return self.text_characters * UTF8_BYTES_A_CHARACTER
        return int(getattr(self, f"{modality}_bytes", self.video_bytes))

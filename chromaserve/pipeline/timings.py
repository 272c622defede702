"""Where a photo's time went, stage by stage."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Seconds that one photo spent in each stage."""

    admission_s: float
    """Waiting for room in memory."""
    decode_s: float
    queue_s: float
    """Waiting for the model."""
    inference_s: float
    batch: int
    """Photos that shared the batch; 0 where the model's answer was kept from before."""
    calls: float
    """Batches that the model worked on at once, this one included, on average."""
    encode_s: float
    """Upsampling, recombination and encoding."""
    total_s: float
    helped_s: float = 0.0
    """What other threads spent on it meanwhile, decoding and encoding."""
    looks: int = 1
    """How often the model ran for it; 0 where its answer was kept from before."""
    model_s: float = 0.0
    """Of a device's time, what the model's runs for it took: its part of their batches."""

    def seconds(self) -> dict[str, float]:
        """The stages by name."""
        return {
            "admission": self.admission_s,
            "decode": self.decode_s,
            "queue": self.queue_s,
            "inference": self.inference_s,
            "encode": self.encode_s,
            "total": self.total_s,
        }

    def milliseconds(self) -> dict[str, float]:
        """The stages in milliseconds, for people and manifests."""
        return {stage: round(1000 * each, 1) for stage, each in self.seconds().items()}

    @property
    def cached(self) -> bool:
        """Whether the model's answer was kept from before."""
        return self.batch == 0

    def header(self) -> str:
        """The value of a Server-Timing header; inference's description is the batch size."""
        parts = []
        description = "cached" if self.cached else f"batch={self.batch}"
        if self.looks > 1:
            description += f" looks={self.looks}"
        for name, duration in self.milliseconds().items():
            told = f';desc="{description}"' if name == "inference" else ""
            parts.append(f"{name}{told};dur={duration}")
        return ", ".join(parts)

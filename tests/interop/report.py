"""Figures the tests find on their way, printed after the run whether output is captured or not."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """What all walks together saw, and single lines other tests have to say."""

    images: int = 0
    walks: int = 0
    pages: int = 0
    lost: int = 0
    doubled: int = 0
    lines: list[str] = field(default_factory=list)

    def walked(self, images: int, pages: int, lost: int, doubled: int) -> None:
        """Counts one walk, good or bad."""
        self.images = max(self.images, images)
        self.walks += 1
        self.pages += pages
        self.lost += lost
        self.doubled += doubled

    def say(self, line: str) -> None:
        """Keeps a line for the end."""
        self.lines.append(line)

    def summary(self) -> list[str]:
        """The lines to print."""
        if not self.walks:
            return self.lines
        walk = f"interop walk: {self.images} images, {self.lost} lost, {self.doubled} doubled"
        return [f"{walk} ({self.walks} walks, {self.pages} pages)", *self.lines]


tally = Tally()

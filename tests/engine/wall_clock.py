"""The wall clock of a process, to be put forward and back: what wall_clock.c makes of it."""

from __future__ import annotations

import struct
import subprocess
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("wall_clock.c")
HOUR = 3600.0
DAY = 24 * HOUR


class WallClock:
    """Of processes that are started with its ``environment``; made in ``folder``."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "wall_clock.so", folder / "offset"
        self.ahead = 0.0
        """Seconds, of the true one."""
        self.put(0.0)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl", "-lm"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._file)}

    def put(self, seconds: float) -> None:
        """Forward, or back where it is less than 0."""
        self.ahead += seconds
        # In place: processes have mapped it.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("d", self.ahead))

    @property
    def now(self) -> float:
        return time.time() + self.ahead

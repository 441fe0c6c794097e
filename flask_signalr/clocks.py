"""Where time and chance come from, so that tests can set both."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clocks:
    """What tells the time, and tosses.

    Attributes:
        steady: Returns seconds that pass evenly, whoever sets the machine's clock: for pauses and waits.
        unix: Returns the time in Unix seconds: for what others wrote down, such as an expiry.
        luck: Returns a random number from 0 to 1.
    """

    steady: Callable[[], float] = time.monotonic
    unix: Callable[[], float] = time.time
    luck: Callable[[], float] = random.random


SYSTEM_CLOCKS = Clocks()

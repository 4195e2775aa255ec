"""Why a receipt or a promotion is refused: one class, one message, one exit code each (docs/promotion.md).

Refusal
├── ReceiptUnreadable    20   there is no receipt, or the file is not one
├── OtherImage           21   the receipt is of another image
├── BadSignature         22   the receipt was changed after it was signed
├── UnknownKey           23   signed by somebody else
├── Unsigned             24   not signed, and that was not allowed
├── GroupFailed          25   a group of tests failed
├── GroupMissing         26   a group that is asked for was not run
├── GpuMissing           27   the gpu group is asked for and did not pass
├── OtherSuite           28   the tests or patches were others than this checkout's
├── Damaged              29   the image's own parts contradict each other: a flipped byte, a missing layer
├── TagWouldMove         30   a tag is at another image, and --move was not given
├── RegistryFailed       31   a registry does not answer, or cannot store (full, slow, stopped)
├── RegistryDenied       32   a registry asks for other credentials
├── NothingToRollBack    33   the log names no image before this one
├── TagMovedElsewhere    34   a tag is not where the log says it was put
└── OtherSbom            35   the SBOM is not the one the receipt names
"""

from __future__ import annotations

from vldock.common.errors import VldockError


class Refusal(VldockError):
    """A receipt, an image or a registry that does not hold what a promotion needs."""


class ReceiptUnreadable(Refusal):
    """There is no receipt, or the file is not one."""

    exit_code = 20


class OtherImage(Refusal):
    """The receipt is of another image."""

    exit_code = 21


class BadSignature(Refusal):
    """The receipt was changed after it was signed."""

    exit_code = 22


class UnknownKey(Refusal):
    """Signed, but by none of the keys given."""

    exit_code = 23


class Unsigned(Refusal):
    """Not signed, and that was not allowed."""

    exit_code = 24


class GroupFailed(Refusal):
    """A group of tests failed."""

    exit_code = 25


class GroupMissing(Refusal):
    """A group that is asked for was not run."""

    exit_code = 26


class GpuMissing(Refusal):
    """The gpu group is asked for and did not pass."""

    exit_code = 27


class OtherSuite(Refusal):
    """The tests or patches were others than this checkout's."""

    exit_code = 28


class Damaged(Refusal):
    """The parts of an image contradict each other."""

    exit_code = 29


class TagWouldMove(Refusal):
    """A tag is at another image, and --move was not given."""

    exit_code = 30


class RegistryFailed(Refusal):
    """A registry does not answer, or cannot store."""

    exit_code = 31


class RegistryDenied(Refusal):
    """A registry asks for other credentials."""

    exit_code = 32


class NothingToRollBack(Refusal):
    """The log names no image before this one."""

    exit_code = 33


class TagMovedElsewhere(Refusal):
    """A tag is not where the log says it was put."""

    exit_code = 34


class OtherSbom(Refusal):
    """The SBOM is not the one the receipt names."""

    exit_code = 35

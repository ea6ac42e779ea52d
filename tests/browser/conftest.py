import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import PROGRAM, executable, started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file; what each of them sees is its own.

    Not for a whole session: while it is there, no other test of the process can use asyncio.
    """
    with started(executable(shutil.which(PROGRAM), os.environ)) as running:
        yield running

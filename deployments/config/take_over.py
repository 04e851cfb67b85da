"""Whether a keeper may take the durable jobs although another instance of the service had them a moment ago.

``--take-over`` of the launcher allows it to the first keeper of each application, and to no later one: otherwise two
services that were both started so would take the jobs from each other for ever.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

VARIABLE = "FIBONACCI_TAKE_OVER"
"""A folder, in which each keeper that has used its permission leaves a file."""


def may_take_over(environ: Mapping[str, str], application: str) -> bool:
    """Use the permission, if there is one; it is gone then."""
    folder = environ.get(VARIABLE)
    if not folder:
        return False
    try:
        Path(folder, f"{quote(application, safe='')}.used").touch(exist_ok=False)
    except OSError:
        return False  # it was used, or there is no such folder
    return True

"""A scheduler that is saved together with the file of its class."""

from __future__ import annotations

import inspect
import os
import shutil
from typing import Any

from diffusers.schedulers.scheduling_utils import SchedulerMixin


class SavedWithFile(SchedulerMixin):  # type: ignore[misc, unused-ignore]
    """Saved as in diffusers, with the file of its class beside the config.

    So a pipeline that was saved with it loads with trust_remote_code=True, where this file is
    not imported already.
    """

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """As in diffusers, with the file of this class beside the config."""
        source = inspect.getsourcefile(type(self))
        if source is not None and os.path.isfile(source):
            os.makedirs(save_directory, exist_ok=True)
            target = os.path.join(save_directory, f"{type(self).__module__}.py")
            if not os.path.exists(target) or not os.path.samefile(source, target):
                shutil.copyfile(source, target)
        super().save_pretrained(save_directory, push_to_hub, **kwargs)

"""The training loop: epochs and steps of any `Objective`, with validation, checkpoints and a log."""

import copy
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rshash.methods.objective import Objective
from rshash.models.heads import HashHead
from rshash.training.checkpoint import LAST, State, load_state, save_state
from rshash.training.log import EpochLog
from rshash.training.validation import Validation


class TrainingDiverged(ValueError):
    """A loss term, a weight or a relaxed code is no longer finite."""


class Loop:
    """Train an objective for a number of epochs.

    The random numbers of an epoch depend on (seed, epoch) alone, so a run that goes on from a checkpoint repeats an
    unbroken one byte for byte (at the same number of threads). The caller's random state is left as it was.

    Args:
        objective: of a method.
        settings: all that the result depends on; holds "seed" and, unless the objective is in closed form, "epochs"
            and "batch_size".
        validation: held-out pairs, or None.
        checkpoints: folder, or None.
        seconds_between_checkpoints: least time between two; the last epoch is always saved.
        resume: go on from the checkpoint where there is one.
        log: JSONL file, or None.
        on_best: called when a checkpoint is written whose best epoch is new.
        first: epochs done before, by another loop with the same log; epochs are counted from there.
    """

    def __init__(
        self,
        objective: Objective,
        settings: dict[str, Any],
        *,
        validation: Validation | None,
        checkpoints: Path | None,
        seconds_between_checkpoints: float,
        resume: bool,
        log: str | os.PathLike[str] | None,
        on_best: Callable[["State"], None],
        first: int = 0,
    ) -> None:
        self._objective = objective
        self._settings = settings
        self._validation = validation
        self._checkpoints = checkpoints
        self._seconds_between = seconds_between_checkpoints
        self._on_best = on_best
        self._device = next(objective.parameters()).device
        self.state = State(settings, first, {}, {}, {}, 0, {}, [])
        if resume and checkpoints is not None:
            found = load_state(checkpoints / LAST, settings, str(self._device))
            if found is not None:
                self.state = found
                objective.load_state_dict(found.weights)
                for name, optimizer in objective.optimizers.items():
                    optimizer.load_state_dict(found.optimizers[name])
        is_done = 0 < settings.get("epochs", 0) <= self.state.epoch
        self._log = EpochLog(log, n_kept=None if is_done else self.state.epoch)
        self._saved_best = self.state.best_epoch

    def run(self, progress: bool, stop_after: int | None = None) -> State:
        """Train to the last epoch, or until so many are done, and return the state after it.

        Raises:
            TrainingDiverged: a loss term, a weight or a relaxed code is NaN or infinite.
            OSError: a checkpoint or the log cannot be written.
        """
        epochs = self._settings.get("epochs", 0)
        epochs = epochs if stop_after is None else min(epochs, stop_after)
        saved_at = time.monotonic()
        with tqdm(
            total=epochs, initial=self.state.epoch, desc="train", unit="epoch", disable=None if progress else True
        ) as bar:
            for epoch in range(self.state.epoch, epochs):
                started = time.monotonic()
                learning_rate = self._objective.learning_rate(epoch)
                losses = self._train_epoch(epoch, learning_rate)
                self._validate()
                shown = {**losses, **self.state.validation}
                bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()}, refresh=False)
                bar.update()
                self._log.write(
                    {
                        "epoch": epoch + 1,
                        "learning_rate": learning_rate,
                        "losses": losses,
                        "validation": self.state.validation,
                        "seconds": round(time.monotonic() - started, 3),
                    }
                )
                due = time.monotonic() - saved_at >= self._seconds_between or epoch + 1 == epochs
                if self._checkpoints is not None and due:
                    self._save(self._checkpoints)
                    saved_at = time.monotonic()
        if not epochs:
            self._validate()
        self._capture()
        return self.state

    def _train_epoch(self, epoch: int, learning_rate: float) -> dict[str, float]:
        """Return the mean over the pairs of each loss term."""
        objective, settings = self._objective, self._settings
        optimizer = objective.optimizers["heads"]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        rng = np.random.default_rng([settings["seed"], 1, epoch])
        totals: dict[str, float] = defaultdict(float)
        n_pairs = 0
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.manual_seed(int(rng.integers(2**63)))
            objective.train()
            objective.start_epoch(epoch)
            for number, batch in enumerate(objective.batches(epoch, settings["batch_size"], rng)):
                terms = objective.losses(batch)
                n_pairs += len(batch)
                for name, term in terms.items():
                    value = term.item()
                    if not np.isfinite(value):
                        raise self._diverged(f"the loss term {name!r} is {value}", epoch, number)
                    totals[name] += value
                optimizer.zero_grad()
                torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            objective.end_epoch(epoch)
        for name, weights in objective.named_parameters():
            if not torch.isfinite(weights).all():
                raise self._diverged(f"the weights {name!r} are not finite", epoch)
        self.state.epoch = epoch + 1
        return {name: total / n_pairs for name, total in totals.items()}

    def _diverged(self, what: str, epoch: int, batch: int | None = None) -> TrainingDiverged:
        place = f"epoch {epoch + 1}" if batch is None else f"epoch {epoch + 1}, batch {batch + 1}"
        last = None if self._checkpoints is None else self._checkpoints / LAST
        kept = f"; {last} holds an earlier state" if last is not None and last.exists() else ""
        return TrainingDiverged(
            f"training diverged: {what} in {place}; "
            f"lower the learning rate (now {self._objective.learning_rate(epoch):g}) or the weight of that term{kept}"
        )

    def _validate(self) -> None:
        """Measure the heads as they are; without any epoch those of a closed form."""
        if self._validation is None:
            return
        heads = self._objective.image_head, self._objective.caption_head
        self._objective.eval()
        self.state.validation = self._validation.measure(*(self._relax(head) for head in heads))
        score = sum(self.state.validation.values())
        if self.state.best_epoch == 0 or score > sum(self.state.best_validation.values()):
            self.state.best_epoch = self.state.epoch
            self.state.best_validation = self.state.validation
            self.state.best_weights = [copy.deepcopy(head.state_dict()) for head in heads]

    def _relax(self, head: HashHead) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        @torch.inference_mode()
        def relax(features: NDArray[np.float32]) -> NDArray[np.float32]:
            relaxed: NDArray[np.float32] = head(torch.from_numpy(features).to(self._device)).cpu().numpy()
            if not np.isfinite(relaxed).all():
                raise self._diverged("the relaxed codes of the held-out part are not finite", self.state.epoch - 1)
            return relaxed

        return relax

    def _capture(self) -> None:
        self.state.weights = self._objective.state_dict()
        self.state.optimizers = {name: o.state_dict() for name, o in self._objective.optimizers.items()}

    def _save(self, folder: Path) -> None:
        self._capture()
        save_state(self.state, folder / LAST)
        if self.state.best_epoch != self._saved_best:
            self._on_best(self.state)
            self._saved_best = self.state.best_epoch

"""Learning curves as figures."""

from pathlib import Path

from matplotlib.figure import Figure

from tasks.storage.durable import write_durably
from tasks.training.run import read_metrics

CURVES = "learning_curves.png"
# Column, factor to the unit shown, label.
_ERRORS = (
    ("energy_mae", 1e3, "energy (meV/atom)"),
    ("force_mae", 1e3, "force (meV/Å)"),
    ("stress_mae", 1e3, "stress (meV/Å³)"),
    ("hessian_mae", 1e3, "Hessian (meV/Å²)"),
)


def draw_curves(folder: Path) -> Path:
    """Draw losses and validation errors over the epochs of all stages."""
    metrics = read_metrics(folder)
    epochs = range(1, len(metrics) + 1)
    errors = [error for error in _ERRORS if error[0] in metrics]
    figure = Figure(figsize=(3.2 * (1 + len(errors)), 3.0), layout="constrained")
    loss, *others = figure.subplots(1, 1 + len(errors), squeeze=False)[0]
    loss.plot(epochs, metrics["training_loss"], label="training")
    loss.plot(epochs, metrics["validation_loss"], label="validation")
    loss.legend()
    for axes, (column, factor, _) in zip(others, errors, strict=True):
        axes.plot(epochs, factor * metrics[column])
    labels = ["loss", *(label for _, _, label in errors)]
    for axes, label in zip([loss, *others], labels, strict=True):
        axes.set(xlabel="epoch", ylabel=label, yscale="log")
    path = folder / CURVES
    write_durably(path, lambda temporary: figure.savefig(temporary, format="png", dpi=150))
    return path

"""Made-up genes for layouts: their names, and expression in which some rise and fall together."""

import numpy as np
import pandas as pd


def name_genes(n_genes):
    return pd.DataFrame(index=[f"g{number:03d}" for number in range(n_genes)])


def draw_programmes(n_samples, n_genes, seed=1, *, noise=0.5):
    """Draw genes that each mix four programmes."""
    rng = np.random.default_rng(seed)
    programmes = rng.normal(size=(n_samples, 4)) @ rng.normal(size=(4, n_genes))
    return (programmes + noise * rng.normal(size=(n_samples, n_genes))).astype(np.float32)


def draw_modules(module, n_samples=30, seed=2):
    """Draw genes that each follow the one programme of their module."""
    rng = np.random.default_rng(seed)
    profiles = rng.normal(size=(n_samples, module.max() + 1))
    return (profiles[:, module] + 0.3 * rng.normal(size=(n_samples, len(module)))).astype(np.float32)

"""Train some networks of the table again and write them, the test images, and the classes that PyTorch sees in them.

    python -m searchers.oracles.training.export_digits INDEX...

What is written is what ``integer_network`` reads. Classes are computed in double precision, under the trained policy
and under others, rounded after training.
"""

from __future__ import annotations

import click
import numpy as np

from searchers.oracles.accuracy import Bits
from searchers.oracles.integer_network import IMAGES, SHIPPED
from searchers.oracles.quantizers import IMAGE_STEP
from searchers.oracles.training.extra import need
from searchers.oracles.training.train_digits import classes, draw_network, load_images, train
from workloads.networks.tiny_residual import BLOCKS

SEED = 0
OTHER_POLICIES = (
    Bits((8,) * BLOCKS, (8,) * BLOCKS),
    Bits((4,) * BLOCKS, (6,) * BLOCKS),
    Bits((8, 6, 4, 3), (3, 4, 6, 8)),
)


@click.command()
@click.argument("indices", nargs=-1, required=True, type=int)
def main(indices: tuple[int, ...]) -> None:
    """Write the networks of the table that INDICES name."""
    need("torch", "sklearn")
    import torch

    from searchers.oracles.training.residual_network import ResidualNetwork

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    to_train, (pixels, labels) = load_images()
    arrays: dict[str, np.ndarray] = {}
    for place, index in enumerate(indices):
        architecture, bits = draw_network(index)
        network = train(architecture, bits, SEED, to_train)
        values = {name: value.numpy() for name, value in network.state_dict().items() if value.ndim}
        described = {
            name: np.array(getattr(architecture, name)) for name in ("depths", "kernels", "expansions", "keeps")
        }
        described |= {name: np.array(getattr(bits, name)) for name in ("activations", "weights")}
        policies = (bits, *OTHER_POLICIES)
        seen = []
        for policy in policies:
            quantized = ResidualNetwork(architecture, policy)
            quantized.load_state_dict(network.state_dict())
            seen.append(classes(quantized.double().eval(), pixels.double()).numpy().astype(np.uint8))
            print(index, policy, f"{100 * np.mean(seen[-1] == labels.numpy()):.2f} %")
        tested = {
            "tested.activations": np.array([policy.activations for policy in policies]),
            "tested.weights": np.array([policy.weights for policy in policies]),
            "tested.classes": np.stack(seen),
        }
        arrays |= {f"{place}.{name}": array for name, array in (values | described | tested).items()}
    np.savez_compressed(SHIPPED, allow_pickle=False, **arrays)
    whole = np.rint(pixels[:, 0].numpy() / IMAGE_STEP).astype(np.int8)
    np.savez_compressed(IMAGES, allow_pickle=False, pixels=whole, labels=labels.numpy().astype(np.uint8))


if __name__ == "__main__":
    main()

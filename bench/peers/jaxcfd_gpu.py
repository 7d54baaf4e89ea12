#!/usr/bin/env python3
"""Member-steps per second of jax-cfd's Kolmogorov step on a GPU, as `sns bench --only solver` prints ours.

usage: bench/peers/jaxcfd_gpu.py [--points 512] [--members 32] [--precision float32|float64]
                                 [--steps 40] [--rounds 5] [--platform gpu|cpu]

The step is that of jaxcfd_step.py (viscosity 1e-4, dt 1e-3, CN-RK4), mapped over the members; a jitted scan of so many
steps is compiled beforehand. The figure is the best wall-clock time over the rounds, until the device has the result.
Needs jax for CUDA and jax-cfd in the versions of requirements.txt: pip install "jax[cuda13]==0.10.2" jax-cfd==0.2.1
"""

import argparse
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=512)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--steps", type=int, default=40, help="of one call, as many as sns bench makes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--platform", choices=("gpu", "cpu"), default="gpu", help="cpu only shows that this runs")
    return parser.parse_args()


def ensemble(arguments, jax):
    """Jitted function of all members' steps, and their states: complex, (members, points, points / 2 + 1)."""
    import jax.numpy as jnp
    import jax_cfd.base as cfd
    from jax_cfd.spectral import equations, time_stepping

    n = arguments.points
    grid = cfd.grids.Grid((n, n), domain=((0, 2 * jnp.pi), (0, 2 * jnp.pi)))
    step = jax.vmap(time_stepping.crank_nicolson_rk4(equations.ForcedNavierStokes2D(1e-4, grid, smooth=True), 1e-3))
    run = jax.jit(lambda w: jax.lax.scan(lambda s, _: (step(s), None), w, None, length=arguments.steps)[0])

    def initial(member):
        v0 = cfd.initial_conditions.filtered_velocity_field(jax.random.PRNGKey(member), grid, 7.0, 4)
        return jnp.fft.rfftn(cfd.finite_differences.curl_2d(v0).data)

    return run, jnp.stack([initial(member) for member in range(arguments.members)])


def main():
    arguments = parse()
    import jax
    jax.config.update("jax_enable_x64", arguments.precision == "float64")
    device = jax.devices(arguments.platform)[0]
    with jax.default_device(device):
        run, state = ensemble(arguments, jax)
        state = jax.block_until_ready(run(state))  # compiles
        best = float("inf")
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            state = jax.block_until_ready(run(state))
            best = min(best, time.perf_counter() - start)
        if not jax.numpy.isfinite(state).all():
            raise SystemExit("jaxcfd_gpu: the flow is not finite any more; its speed says nothing")
        print(f"jax-cfd {arguments.points}^2 x {arguments.members} {arguments.precision} on {device.device_kind} "
              f"({arguments.steps} steps a call, best of {arguments.rounds}): "
              f"{arguments.members * arguments.steps / best:.5g} member-steps per second")


if __name__ == "__main__":
    main()

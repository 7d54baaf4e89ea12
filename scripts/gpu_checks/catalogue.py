"""The checks by name: function, limit in seconds, and what each must show."""

from gpu_checks.programs import check_device, check_gpu_test, check_network_bench, check_parity, check_sanitizer, \
    check_solver_bench
from gpu_checks.runs import check_data_set, check_rollout, check_rollout_precisions, check_statistics, \
    check_streamed_training, check_training
from gpu_checks.session import JET, KOLMOGOROV

SPEED = ("solver.viscosity=1e-4", "solver.stepper.dt=1e-3")  # a step that 512^2 points allow
SOLVER_SHOWS = "member-steps per second and share of the copy bandwidth"
NETWORK_SHOWS = "images per second and share of the matmul rate of the 73,727,522-parameter network"
KERNELS = "no errors in any kernel of both solvers"
CHECKS = {  # name: (function, limit in seconds, what it must show); what says most in little time is first
    "device": (check_device, 120, "the solvers' module and LibTorch's CUDA half both find the device"),
    "gpu_cufft": (check_gpu_test("gpu_cufft"), 90, "all test cases of the solvers on a device pass"),
    "gpu_device_frames": (check_gpu_test("gpu_device_frames"), 90, "all test cases of frames in the device's memory pass"),
    "gpu_networks": (check_gpu_test("gpu_networks"), 120,
                     "networks in float32, recorded, trained, in bfloat16 and refined are those of the CPU"),
    "parity": (check_parity, 60, "FFTW and cuFFT: float64 within 1e-9 after 100 steps, float32 within 2e-5"),
    "solver bench float32": (check_solver_bench(KOLMOGOROV, "float32", (512, 32), (64, 2), SPEED), 90,
                             f"{SOLVER_SHOWS}, Kolmogorov 512^2 x 32"),
    "solver bench float64": (check_solver_bench(KOLMOGOROV, "float64", (512, 32), (64, 2), SPEED), 90,
                             f"{SOLVER_SHOWS}, Kolmogorov 512^2 x 32"),
    "solver bench qg2layer": (check_solver_bench(JET, "float64", (256, 32), (64, 2)), 90,
                              f"{SOLVER_SHOWS}, two layers 256^2 x 32 in float64"),
    "network bench": (check_network_bench(), 90, NETWORK_SHOWS),
    "network bench channels last": (check_network_bench("--channels-last"), 90,
                                    f"{NETWORK_SHOWS}, channels of a pixel together"),
    "gpu_cufft_plain": (check_gpu_test("gpu_cufft", SNS_CUDA_GRAPHS="0"), 90, "gpu_cufft without CUDA graphs passes"),
    "data set": (check_data_set, 60, "a data set made on the device passes sns verify"),
    "statistics": (check_statistics, 90,
                   "standard deviations of the vorticity and of its changes as on the CPU, within 5 %"),
    "training": (check_training, 90,
                 "the loss falls in float32, tf32 and bfloat16, to values within 10 % of each other"),
    "rollout": (check_rollout, 120,
                "700 steps: the shipped surrogate leaves the attractor alone, and stays refined by SNS"),
    "streamed training": (check_streamed_training, 60,
                          "solver and trainer share the device; two runs begin with the same loss, within 1e-4"),
    "rollout precisions": (check_rollout_precisions, 90,
                           "no member fails in tf32, in bfloat16, one member at a time, with CUDA graphs, or channels last"),
    "sanitizer memcheck": (check_sanitizer("memcheck"), 60, KERNELS),
    **{f"sanitizer {tool}": (check_sanitizer(tool), 60, KERNELS) for tool in ("racecheck", "initcheck", "synccheck")},
}
ON_REQUEST = ("sanitizer racecheck", "sanitizer initcheck", "sanitizer synccheck")  # unless named, or with --all-sanitizers

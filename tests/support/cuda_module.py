"""cuda_module.py MODULE ARCHITECTURES WHY-NOT: looks into libsns_cuda.so without a device. In every part there must be
code for the architectures (CMake's list, with commas: 80-real,90-real,90-virtual); in that for each, every kernel in
float32 and float64, and none that keeps values in local memory, whose traffic no count of bytes has; the entry points; and
no library needed beyond CUDA's runtime, cuFFT and the system's. Ends with exit code 77 where the build has no such module."""

import re
import struct
import subprocess
import sys

FAT_BINARY = b"\x50\xed\x55\xba"
PTX, CUBIN = 1, 2
ENTRY_POINTS = {"sns_module_version", "sns_cuda_device_count", "sns_cuda_device_name", "sns_cuda_make_kolmogorov",
                "sns_cuda_make_qg2layer"}
LIBRARIES = r"lib(cudart|cufft|stdc\+\+|m|gcc_s|c|dl|rt|pthread)\.so|ld-linux"
FORMS = ("AdvectiveForm", "BasdevantForm")
# Functors of either precision that a step, a frame or a guard launches, as they stand in demangled names.
KERNELS = [f"{kernel}<{{real}}, sns::kolmogorov::{form}<" for kernel in ("LowStorageKernel", "Sil3Kernel") for form in FORMS] + [
    "kolmogorov::PrepareInputs<{real}, sns::kolmogorov::AdvectiveInputs", "kolmogorov::PrepareInputs<{real}, sns::kolmogorov::BasdevantInputs",
    "kolmogorov::AdvectVorticity<{real}>", "kolmogorov::DecayTruncated<{real}>", "kolmogorov::VelocitySpectra<{real}>",
    "CompletePairs<{real}>", "ApplyToPairs<{real}, sns::kolmogorov::SquareVelocity",
    "FluxAtPoint<{real}, sns::qg2layer::FluxShape", "qg2layer::PrepareFields<{real}>", "qg2layer::AdamsBashforthUpdate<{real}>",
    "qg2layer::RungeKuttaUpdate<{real}, true>", "qg2layer::RungeKuttaUpdate<{real}, false>", "qg2layer::VelocitySpectra<{real}>",
    "CopyModes<{real}>", "BlockMean<{real}>", "SymmetriseEdgeColumns<{real}>", "SquaredSpeed<{real}>", "WriteFrames<{real}>"]
WITH_STACK = "qg2layer::TellPast"  # looks its values up in its arguments; once in a start-up
KERNELS_OF_BOTH = ["qg2layer::TellPast", "spectral::Fill", "spectral::FrameModulus"]


def architectures(text):
    """Kinds of code, and for which compute capability: {(CUBIN, 80), ..}."""
    found = set()
    for word in text.split(","):
        capability, _, kind = word.partition("-")
        found |= {(of, int(capability)) for of, name in ((PTX, "virtual"), (CUBIN, "real")) if kind in ("", name)}
    return found


def images(module):
    """For every fat binary in the bytes: (kind, compute capability, payload) of what it holds."""
    at = module.find(FAT_BINARY)
    while at >= 0:
        _, _, header, size = struct.unpack_from("<IHHQ", module, at)
        entry, end, found = at + header, at + header + size, []
        while entry < end:
            kind, _, entry_header, payload = struct.unpack_from("<HHIQ", module, entry)
            capability = struct.unpack_from("<I", module, entry + 28)[0]
            start = entry + entry_header
            found.append((kind, capability, module[start:start + payload]))
            entry = start + payload
        yield found
        at = module.find(FAT_BINARY, end)


def output(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def kernels_of(cubins):
    """Demangled names of the kernels in uncompressed device code."""
    names = {name.decode() for cubin in cubins for name in re.findall(rb"\.text\.(_Z\w+)", cubin)}
    return output("c++filt", text="\n".join(sorted(names)))


def section(elf, kind=None, name=None):
    """Contents of a 64-bit ELF file's first section of a kind or name."""
    headers, = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    sections = [struct.unpack_from("<IIQQQQ", elf, headers + at * size) for at in range(count)]
    start = sections[names][4]
    for header in sections:
        title = elf[start + header[0]:elf.index(b"\0", start + header[0])].decode()
        if kind in (None, header[1]) and name in (None, title):
            return elf[header[4]:header[4] + header[5]]
    raise ValueError(f"no section {name or kind} in the device code")


def stacks(cubin):
    """Bytes of local memory of each kernel, by mangled name: what it spills, and arrays that it looks numbers up in."""
    symbol_table, frame_size, sized = 2, 0x11, 4  # SHT_SYMTAB; EIATTR_FRAME_SIZE, EIFMT_SVAL of NVIDIA's .nv.info
    symbols = section(cubin, kind=symbol_table)
    strings = section(cubin, name=".strtab")
    info = section(cubin, name=".nv.info")
    found, at = {}, 0
    while at < len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form != sized:
            continue
        if attribute == frame_size:
            symbol, frame = struct.unpack_from("<II", info, at)
            name, = struct.unpack_from("<I", symbols, 24 * symbol)
            found[strings[name:strings.index(b"\0", name)].decode()] = frame
        at += size
    return found


def spilling(cubins):
    """"kernel: N bytes" of those that keep values in local memory."""
    frames = {name: frame for cubin in cubins for name, frame in stacks(cubin).items()}
    if not frames:
        return ["no kernel says what it keeps there"]
    names = output("c++filt", text="\n".join(frames)).splitlines()
    return [f"{name}: {frame} bytes" for name, frame in zip(names, frames.values()) if frame and WITH_STACK not in name]


def missing(names):
    wanted = [kernel.format(real=real) for kernel in KERNELS for real in ("float", "double")] + KERNELS_OF_BOTH
    return [kernel for kernel in wanted if kernel not in names]


def faults(path, wanted):
    with open(path, "rb") as file:
        parts = list(images(file.read()))
    if not parts:
        yield "holds no device code"
    for part in parts:
        have = {(kind, capability) for kind, capability, _ in part}
        if have != wanted:
            yield f"holds code for {sorted(have)}, not {sorted(wanted)} (1: PTX, 2: machine code)"
    for capability in sorted(capability for kind, capability in wanted if kind == CUBIN):
        cubins = [image for part in parts for kind, of, image in part if (kind, of) == (CUBIN, capability)]
        for kernel in missing(kernels_of(cubins)):
            yield f"has no kernel {kernel} for compute capability {capability / 10}"
        for kernel in spilling(cubins):
            yield f"keeps values in local memory for compute capability {capability / 10}, {kernel}"
    exported = set(output("nm", "-D", "--defined-only", path).split())
    for name in ENTRY_POINTS - exported:
        yield f"does not export {name}"
    for library in re.findall(r"NEEDED\s+(\S+)", output("objdump", "-p", path)):
        if not re.match(LIBRARIES, library):
            yield f"needs {library}"


def main():
    path, wanted, why = sys.argv[1:4]
    if not path:
        print(f"skipped: this build has no CUDA module: {why}")
        return 77
    found = list(faults(path, architectures(wanted)))
    for fault in found:
        print(f"{path} {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Opens every file of a data set with the readers that other people use, and checks The Well's format rules.

    scripts/check_dataset.py DIR              h5py, xarray (h5netcdf and netCDF4), format rules; The Well's
                                              loader where scripts/setup_wheel_checks has installed it
    scripts/check_dataset.py --probe          says whether The Well's loader can be imported

The rules are those of The Well's scripts/check_thewell_formatting.py (commit 0f0a75d), all of them and a little stricter: the
checker itself is not part of the PyPI package.
"""

import argparse
import pathlib
import sys

import h5py
import numpy as np


class FormatError(Exception):
    pass


def need(condition, message):
    if not condition:
        raise FormatError(message)


def is_text(value):
    return isinstance(value, str)


def is_flag(value):
    return isinstance(value, (bool, np.bool_))


def names(attributes, key, what):
    need(key in attributes, f"{what} lacks the attribute {key}")
    value = attributes[key]
    need(isinstance(value, (list, np.ndarray)), f"{what}: {key} is not a list")
    need(all(is_text(v) for v in value), f"{what}: {key} holds something that is not text")
    return list(value)


def flags(item, what, keys=("sample_varying", "time_varying")):
    for key in keys:
        need(key in item.attrs, f"{what} lacks the attribute {key}")
        need(is_flag(item.attrs[key]), f"{what}: {key} is not a boolean")
    return [bool(item.attrs[key]) for key in keys]


def check_root(file):
    for key in ("dataset_name", "grid_type"):
        need(is_text(file.attrs.get(key)), f"root attribute {key} is missing or not text")
    for key in ("n_spatial_dims", "n_trajectories"):
        need(isinstance(file.attrs.get(key), (int, np.integer)), f"root attribute {key} is missing or not an integer")
    for parameter in names(file.attrs, "simulation_parameters", "the root"):
        need(parameter in file.attrs, f"parameter {parameter} is not a root attribute")
    for group in ("dimensions", "boundary_conditions", "scalars", "t0_fields", "t1_fields", "t2_fields"):
        need(group in file, f"group {group} is missing")


def check_dimensions(file):
    dimensions = file["dimensions"]
    axes = names(dimensions.attrs, "spatial_dims", "dimensions")
    need(len(axes) == file.attrs["n_spatial_dims"] > 0, "spatial_dims does not fit n_spatial_dims")
    for axis in ["time", *axes]:
        need(axis in dimensions, f"dimensions lacks {axis}")
        flags(dimensions[axis], f"dimensions/{axis}")
    return axes


def check_fields(file, order, axes):
    group, dimensions = file[f"t{order}_fields"], file["dimensions"]
    for name in names(group.attrs, "field_names", group.name):
        need(name in group, f"{group.name} lacks {name}")
        field = group[name]
        sample, time = flags(field, field.name)
        varying = field.attrs.get("dim_varying")
        need(isinstance(varying, np.ndarray) and len(varying) == len(axes), f"{field.name}: dim_varying is malformed")
        need(all(is_flag(v) for v in varying), f"{field.name}: dim_varying holds something that is not a boolean")
        expected = [file.attrs["n_trajectories"]] * sample + [dimensions["time"].shape[-1]] * time
        expected += [dimensions[axis].shape[-1] for axis, v in zip(axes, varying) if v]
        need(list(field.shape[: len(expected)]) == expected, f"{field.name}: shape {field.shape} is not {expected}")


def check_scalars(file):
    group = file["scalars"]
    for name in names(group.attrs, "field_names", "scalars"):
        need(name in group, f"scalars lacks {name}")
        need(group[name].ndim == sum(flags(group[name], f"scalars/{name}")), f"scalars/{name}: wrong rank")


def check_metadata(folder, names):
    """<name>.yaml beside the data says what the files hold."""
    for path in names:
        with h5py.File(path) as file:
            name = file.attrs["dataset_name"]
            scalars = list(file["scalars"].attrs["field_names"])
            fields = list(file["t0_fields"].attrs["field_names"])
            need(set(file["scalars"]) == set(scalars), "scalars holds more than its field_names")
        metadata = folder / f"{name}.yaml"
        need(metadata.exists(), f"there is no {metadata.name} beside the data")
        text = metadata.read_text()
        for line in (f"constant_scalar_names: [{', '.join(scalars)}]", f"  0: [{', '.join(fields)}]",
                     f"n_files: {len(names)}"):
            need(f"{line}\n" in text, f"{metadata.name} lacks the line '{line}'")


def check_boundaries(file, axes):
    for name, boundary in file["boundary_conditions"].items():
        what = f"boundary_conditions/{name}"
        need(is_text(boundary.attrs.get("bc_type")), f"{what}: bc_type is missing or not text")
        leading = sum(flags(boundary, what))
        names(boundary.attrs, "associated_fields", what)
        along = names(boundary.attrs, "associated_dims", what)
        need(len(along) > 0 and set(along) <= set(axes), f"{what}: associated_dims are not axes")
        need("mask" in boundary, f"{what} lacks a mask")
        for i, axis in enumerate(along):
            need(boundary["mask"].shape[leading + i] == file["dimensions"][axis].shape[-1], f"{what}: wrong mask size")


def check_h5py(path):
    """The format rules, and that every stored number is finite."""
    with h5py.File(path) as file:
        check_root(file)
        axes = check_dimensions(file)
        for order in range(3):
            check_fields(file, order, axes)
        check_scalars(file)
        check_boundaries(file, axes)
        fields = {}
        for name in file["t0_fields"].attrs["field_names"]:
            field = file["t0_fields"][name]
            need(field == file[name], f"/{name} is not the field of /t0_fields")
            need(all(np.isfinite(field[i]).all() for i in range(field.shape[0])), f"{name} is not finite")
            fields[name] = (tuple(field.shape), field[0, -1])
        need((file["provenance/complete"][:] == 1).all(), "not marked complete")
        return ["sample", "time", *axes], fields


def check_xarray(path, dimensions, fields):
    import xarray

    for engine in ("h5netcdf", "netcdf4"):
        for group in (None, "t0_fields"):
            with xarray.open_dataset(path, engine=engine, group=group) as data:
                for name, (shape, frame) in fields.items():
                    where = f"{engine}, group {group}: {name}"
                    need(data[name].dims == tuple(dimensions), f"{where} has dimensions {data[name].dims}")
                    need(data[name].shape == shape, f"{where} has shape {data[name].shape}")
                    need((data[name][0, -1].values == frame).all(), f"{where} differs from h5py")
                    if group is None:
                        need(set(dimensions) <= set(data.coords), f"{where} lacks coordinates: {list(data.coords)}")
                        need(data["time"].dtype == np.float64, f"{where}: time became {data['time'].dtype}")
        with xarray.open_datatree(path, engine=engine) as tree:
            need("t0_fields" in tree.children, f"{engine}: datatree lacks t0_fields")


def import_well():
    """WellDataset, or None and why not."""
    try:
        from the_well.data import WellDataset, normalization
    except (ImportError, OSError) as error:
        return None, str(error)
    return (WellDataset, normalization.ZScoreNormalization), ""


def well_windows(folder, outputs):
    """(file, sample, first frame) of every item of a WellDataset with one input frame, in its order."""
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            samples, frames = file["t0_fields"][file["t0_fields"].attrs["field_names"][0]].shape[:2]
        yield from ((path, sample, first) for sample in range(samples) for first in range(frames - outputs))


def check_well_item(item, window, outputs):
    """All numbers of an item against what h5py reads."""
    path, sample, first = window
    with h5py.File(path) as file:
        axes = [file["dimensions"][axis][:] for axis in file["dimensions"].attrs["spatial_dims"]]
        group, scalars, time = file["t0_fields"], file["scalars"], file["dimensions"]["time"][:]
        frames = np.stack([group[name][sample, first:first + outputs + 1] for name in group.attrs["field_names"]], axis=-1)
        expected = {
            "input_fields": frames[:1],
            "output_fields": frames[1:],
            "space_grid": np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1),
            "input_time_grid": time[first:first + 1],
            "output_time_grid": time[first + 1:first + outputs + 1],
            "constant_scalars": np.array([scalars[name][()] for name in scalars.attrs["field_names"]]),
        }
    for key, values in expected.items():
        got, where = item[key].numpy(), f"WellDataset, {path.name}, sample {sample}, frame {first}: {key}"
        need(got.shape == values.shape, f"{where} has shape {got.shape}, not {values.shape}")
        need(got.dtype == values.dtype, f"{where} is {got.dtype}, not {values.dtype}")
        need(np.array_equal(got, values), f"{where} differs from h5py")


def check_well(folder, split, fields, well):
    dataset_class, normalization = well
    outputs = min(4, next(iter(fields.values()))[0][1] - 1)
    if outputs == 0:
        print(f"{split}: samples of one frame hold no pair for The Well's loader, which was not tried")
        return
    arguments = dict(path=str(folder), well_split_name=split, n_steps_input=1, n_steps_output=outputs, normalize_time_grid=False)
    plain = dataset_class(**arguments)
    windows = list(well_windows(folder / "data" / split, outputs))
    need(len(plain) == len(windows), f"WellDataset has {len(plain)} items, not {len(windows)}")
    for index in {0, len(windows) // 2, len(windows) - 1}:
        check_well_item(plain[index], windows[index], outputs)
    scaled = dataset_class(use_normalization=True, normalization_type=normalization, **arguments)
    values = scaled[0]["input_fields"].numpy()
    need(np.isfinite(values).all() and np.abs(values).max() < 100, "WellDataset: stats.yaml does not normalise")
    plain.to_xarray(backend="numpy")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path)
    parser.add_argument("--probe", action="store_true")
    arguments = parser.parse_args()
    well, why = import_well()
    if arguments.probe:
        print("The Well's loader: " + ("ready" if well else f"not usable here: {why}"))
        return 0 if well else 1
    if arguments.folder is None:
        parser.error("which data set folder?")
    paths = sorted(arguments.folder.glob("data/*/*.h5"))
    if not paths:
        print(f"{arguments.folder}: no data files", file=sys.stderr)
        return 1
    try:
        splits = {}
        for path in paths:
            dimensions, fields = check_h5py(path)
            check_xarray(path, dimensions, fields)
            splits[path.parent.name] = fields
        check_metadata(arguments.folder, paths)
        if well:
            for split, fields in splits.items():
                path = arguments.folder / "data" / split
                check_well(arguments.folder, split, fields, well)
    except FormatError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    print(f"{len(paths)} files: format rules, h5py, xarray with h5netcdf and netCDF4: good")
    print("The Well's WellDataset: " + ("good" if well else f"skipped ({why})"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

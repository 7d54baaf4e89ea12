"""What a method is, and the colour that says so: alike in all figures, whichever methods stand beside it.

A method's recipe is told by the configuration that the program writes beside an evaluation (config.yaml). Results without one are told
by what metrics.json counts: a solver has its own entry; without a surrogate's evaluations it is a generator, without those of a denoiser
and of noise heads the surrogate alone; heads for both frames are those of SNS with a noised past. A head for the new frame alone is a
thermalizer's or that of SNS beside a clean past, which only the method's name tells: one that begins with 'sns' is SNS. A lag of the
long frame cannot be told from there."""

import re

# The first is an Okabe-Ito colour, the others are shades for further methods of the family, chosen to be told apart in all common forms of
# colour blindness; brown, gray and violet, which that set lacks, were chosen likewise. Black is the solver that made the data.
FAMILIES = {
    "solver": ["#7B3F00", "#C49A6C", "#A8662F", "#3F2200"],       # coarser ones in a method's place
    "surrogate": ["#6E6E6E", "#B5B5B5", "#404040", "#929292"],
    "thermalizer": ["#E69F00", "#9A5B00", "#F3D27A", "#C07C00"],
    "generator": ["#009E73", "#00573F", "#66C9A3", "#007A5A"],    # ACDM, and frames that SNS makes from noise
    "sns": ["#0072B2", "#56B4E9", "#1F2E7A", "#8088C0"],          # a past frame with noise
    "sns_clean": ["#CC79A7", "#8E3D6C", "#E8B4D0", "#B0559A"],    # a past frame without noise
    "sns_lagged": ["#6A2FB0", "#B79AE6", "#3D1470", "#8F63D2"],   # a long frame whose lag it is told
}
DASHES = ["-", "--", ":", "-."]


def read_blocks(text):
    """The blocks of a configuration, as the program writes it, as dictionaries; a value within a line stays text."""
    root = {}
    above = [(-1, root)]
    for indent, key, value in re.findall(r"^( *)([^\s#:]+):[ ]*(.*)$", text, re.M):
        while above[-1][0] >= len(indent):
            above.pop()
        above[-1][1][key] = value or {}
        if not value:
            above.append((len(indent), above[-1][1][key]))
    return root


def block(config, *keys):
    """A block in blocks; empty where there is none."""
    for key in keys:
        config = config.get(key) if isinstance(config, dict) else None
    return config if isinstance(config, dict) else {}


def recipe_family(recipe, models):
    """By the entries of a method in a configuration, and by its models."""
    def has(entries, key):
        return entries.get(key, "null") != "null"

    if has(recipe, "solver"):
        return "solver"
    if has(recipe, "generator"):
        return "generator"
    if not has(recipe, "refiner"):
        return "surrogate"
    refiner = block(models, recipe["refiner"])
    if refiner.get("kind") == "thermalizer":
        return "thermalizer"
    if recipe.get("path") == "clean_past":
        return "sns_clean"
    return "sns_lagged" if has(block(refiner, "network"), "lag") else "sns"


def configured_families(text):
    """Family by name of all methods of a configuration, in its order."""
    config = read_blocks(text)
    return {name: recipe_family(block(recipe), block(config, "models"))
            for name, recipe in block(config, "rollout", "methods").items()}


def counted_family(entry):
    """By what metrics.json says of a method."""
    count, heads = entry["cost"]["evaluations_per_step"], entry["levels"]
    if entry["cost"]["solver"]:
        return "solver"
    if count["denoiser"] and not count["surrogate"]:
        return "generator"
    if not count["denoiser"] and not count["classifier"]:
        return "surrogate"
    if sum(heads["past"]) or not sum(heads["present"]):
        return "sns"
    return "sns_clean" if entry["name"].startswith("sns") else "thermalizer"


def method_styles(config, entries):
    """Colour and dash of methods by name. config: file of the configuration, which need not be there; entries: as in metrics.json.
    All methods of the configuration have theirs, so that a video of some of them looks like the figures of all."""
    families = configured_families(config.read_text()) if config.exists() else {}
    for entry in entries:
        if entry["name"] not in families:
            families[entry["name"]] = counted_family(entry)
    seen, styles = dict.fromkeys(FAMILIES, 0), {}
    for name, family in families.items():
        number, shades = seen[family], FAMILIES[family]
        # Later methods have the shades again, with other dashes.
        styles[name] = shades[number % len(shades)], DASHES[(number + number // len(shades)) % len(DASHES)]
        seen[family] += 1
    return styles

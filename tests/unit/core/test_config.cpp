#include "core/config.hpp"
#include "core/files.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace sns;
using sns::test::contains;
using sns::test::message_of;

namespace {

Config parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return Config::parse(yaml, overrides, "x.yaml");
}

/// Message of the ConfigError that reading `yaml`'s key v as a T gives; "no exception" if it is accepted.
template <class T>
std::string read_v(const std::string& yaml, T& value, const RuleOf<T>& rule = {}) {
  return message_of<ConfigError>([&] { parse(yaml).root().maybe("v", value, rule); });
}

template <class T>
std::string refuse(const std::string& yaml) {
  T value{};
  return read_v(yaml, value);
}

template <class T>
T accept(const std::string& yaml) {
  T value{};
  REQUIRE(read_v(yaml, value) == "no exception");
  return value;
}

}  // namespace

TEST_CASE("config: integers are exact") {
  CHECK(accept<int>("v: 12") == 12);
  CHECK(accept<int>("v: +12") == 12);
  CHECK(accept<int>("v: -3") == -3);
  CHECK(accept<std::int64_t>("v: 9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(accept<std::uint64_t>("v: 18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK(refuse<int>("v: 1.5") == "v must be an integer, not '1.5'  x.yaml:1");
  CHECK(refuse<int>("v: 2.0") == "v must be an integer, not '2.0'  x.yaml:1");
  CHECK(refuse<int>("v: 1e3") == "v must be an integer, not '1e3'  x.yaml:1");
  CHECK(refuse<int>("v: abc") == "v must be an integer, not 'abc'  x.yaml:1");
  CHECK(refuse<int>("v: 12 monkeys") == "v must be an integer, not '12 monkeys'  x.yaml:1");
  CHECK(refuse<int>("v: \"12\"") == "v must be an integer, not '12'  x.yaml:1");
  CHECK(refuse<int>("v: +-2") == "v must be an integer, not '+-2'  x.yaml:1");
  CHECK(refuse<int>("\n\nv: [1]") == "v must be an integer, not a list  x.yaml:3");
  CHECK(refuse<int>("v: {a: 1}") == "v must be an integer, not a map  x.yaml:1");
  CHECK(refuse<int>("v:") == "v must be an integer, not empty  x.yaml:1");
  CHECK(contains(refuse<int>("v: 2147483648"), "v must be an integer between -2147483648 and 2147483647"));
  CHECK(refuse<std::uint64_t>("v: -1") == "v must be a non-negative integer, not '-1'  x.yaml:1");
}

TEST_CASE("config: a section laid over another is read by itself and keeps its places") {
  const Config config =
      parse("base: {a: 1, b: {name: x, c: 2}, d: 3, gone: 4}\nlist:\n  over:\n    b: {c: 5}\n    d: 6\n");
  Section section = config.root().child("list");
  const Config merged = section.over("over", config.root().child("base"), {"gone"});
  int a = 0, c = 0, d = 0, gone = 0;
  std::string name;
  Section over = merged.root().child("over");
  over.need("a", a);
  over.child("b").need("name", name);
  over.child("b").need("c", c);
  CHECK(name == "x");
  CHECK(std::vector<int>{a, c} == std::vector<int>{1, 5});
  over.maybe("gone", gone);
  CHECK(gone == 0);
  CHECK(message_of<ConfigError>([&] { merged.finish(); }) ==
        "list.over.d is unknown (known here: a, b, gone)  x.yaml:5");
  CHECK(message_of<ConfigError>([&] { over.child("b").need("c", c, {[](int) { return "must be odd"; }}); }) ==
        "list.over.b.c is 5 but must be odd  x.yaml:4");
  over.need("d", d);
  CHECK_NOTHROW(merged.finish());
  // What it is laid over is as it was, and the file's own record has the text.
  config.root().child("base").child("b").need("c", c);
  CHECK(c == 2);
  CHECK(section.resolved_yaml() == "over: {b: {c: 5}, d: 6}\n");
  // A choice replaces another; without a base it stands alone.
  const Config choice = parse("base: {b: {c: 2}}\nover: {b: {name: y}}\n");
  CHECK_FALSE(choice.root().over("over", choice.root().child("base")).root().child("over").child("b").has("c"));
  CHECK(choice.root().over("over", choice.root().child("none")).root().child("over").child("b").has("name"));
  CHECK(message_of<ConfigError>([&] { parse("over: 7").root().over("over", config.root()); }) ==
        "over must be a map (key: value), not '7'  x.yaml:1");
}

TEST_CASE("config: doubles take every number, and only numbers") {
  CHECK(accept<double>("v: 3") == 3.0);
  CHECK(accept<double>("v: 1e-3") == 1e-3);
  CHECK(accept<double>("v: -1.5E+2") == -150.0);
  CHECK(accept<double>("v: .5") == 0.5);
  CHECK(accept<double>("v: +2.") == 2.0);
  CHECK(accept<double>("v: 6.283185307179586") == 6.283185307179586);
  for (const std::string text : {".inf", "-.inf", ".nan"})
    CHECK_MESSAGE(contains(refuse<double>("v: " + text), "v must be a finite number, not "), text);
  for (const std::string text : {"abc", "1.0f", "nan", "inf", "0x10", "--1", "1,5", "true", "'1.0'", "-x"})
    CHECK_MESSAGE(contains(refuse<double>("v: " + text), "v must be a number, not "), text);
  CHECK(contains(refuse<double>("v: 1e999"), "v must be a number that a double can hold, not '1e999'"));
}

TEST_CASE("config: flags are true or false only") {
  CHECK(accept<bool>("v: true"));
  CHECK_FALSE(accept<bool>("v: false"));
  for (const std::string text : {"yes", "on", "1", "True", "'true'", "[true]"})
    CHECK_MESSAGE(contains(refuse<bool>("v: " + text), "v must be true or false, not "), text);
}

TEST_CASE("config: texts") {
  CHECK(accept<std::string>("v: spectral") == "spectral");
  CHECK(accept<std::string>("v: 1.50") == "1.50");
  CHECK(accept<std::string>("v: \"a b: c\"") == "a b: c");
  CHECK(accept<std::string>("v: ''").empty());
  CHECK(refuse<std::string>("v: [a]") == "v must be a text, not a list  x.yaml:1");
  CHECK(refuse<std::string>("v: null") == "v must be a text, not empty  x.yaml:1");
}

TEST_CASE("config: lists and optionals") {
  CHECK(accept<std::vector<int>>("v: [2, 4]") == std::vector<int>{2, 4});
  CHECK(accept<std::vector<double>>("v:\n - 1\n - 2.5") == std::vector<double>{1, 2.5});
  CHECK(accept<std::vector<std::string>>("v: []").empty());
  CHECK(refuse<std::vector<int>>("v: 2") == "v must be a list, not '2'  x.yaml:1");
  CHECK(refuse<std::vector<int>>("v:\n - 1\n - x") == "v.1 must be an integer, not 'x'  x.yaml:3");

  CHECK(accept<std::optional<double>>("v: 2") == 2.0);
  std::optional<int> value = 7;
  CHECK(read_v("w: 1", value) == "no exception");
  CHECK(value == 7);
  CHECK(read_v("v: null", value) == "no exception");
  CHECK(value == std::nullopt);
  CHECK(read_v<std::optional<int>>("v: -1", value, positive) == "v is -1 but must be positive  x.yaml:1");
  CHECK(contains(refuse<std::optional<int>>("v: x"), "v must be an integer"));
}

TEST_CASE("config: rules see given values only and name what is allowed") {
  double dt = 0.1;
  int n = 5;
  std::int64_t big = 1;
  std::string name = "unset";
  CHECK(read_v("v: -2.5e-1", dt, positive) == "v is -2.5e-1 but must be positive  x.yaml:1");
  CHECK(read_v("v: 0", dt, non_negative) == "no exception");
  CHECK(read_v("v: -1", dt, non_negative) == "v is -1 but must not be negative  x.yaml:1");
  CHECK(read_v("v: 0", n, positive) == "v is 0 but must be positive  x.yaml:1");
  CHECK(read_v("v: 0", big, positive) == "v is 0 but must be positive  x.yaml:1");
  CHECK(read_v("v: 1.5", dt, between(0, 1)) == "v is 1.5 but must be between 0 and 1  x.yaml:1");
  CHECK(read_v("v: 1", dt, between(0, 1)) == "no exception");
  CHECK(read_v("v: cn_rk5", name, one_of({"cn_rk4", "euler"})) ==
        "v is cn_rk5 but must be one of cn_rk4, euler (did you mean cn_rk4?)  x.yaml:1");
  CHECK(read_v("v: leapfrog", name, one_of({"cn_rk4", "euler"})) ==
        "v is leapfrog but must be one of cn_rk4, euler  x.yaml:1");
  CHECK(read_v("w: 1", n, positive) == "no exception");
  std::vector<int> list;
  CHECK(read_v<std::vector<int>>("v: [1]", list, [](const std::vector<int>& v) {
          return v.size() > 1 ? std::string() : "must have two items";
        }) == "v is [1] but must have two items  x.yaml:1");
}

TEST_CASE("config: required keys and rejections point at the file") {
  const Config config = parse("solver:\n  grid:\n    pionts: 3\n");
  Section grid = config.root().child("solver").child("grid");
  int points = 0;
  CHECK(message_of<ConfigError>([&] { grid.need("points", points); }) ==
        "solver.grid.points is required (is pionts meant to be it?)  x.yaml:3");
  double length = 0;
  CHECK(message_of<ConfigError>([&] { grid.need("length", length); }) ==
        "solver.grid.length is required  x.yaml:2");
  CHECK(message_of<ConfigError>([&] { grid.reject("pionts", "must be even"); }) ==
        "solver.grid.pionts: must be even  x.yaml:3");
  CHECK(message_of<ConfigError>([&] { config.root().child("datagen").reject("frames", "too few"); }) ==
        "datagen.frames: too few  x.yaml");
  CHECK(grid.where("pionts") == "x.yaml:3");
  CHECK(grid.where() == "x.yaml:2");
  CHECK(grid.path() == "solver.grid");
  CHECK(grid.keys() == std::vector<std::string>{"pionts"});
}

TEST_CASE("config: unknown keys are errors that name the nearest one") {
  const auto finish = [](const std::string& yaml, const std::vector<std::string>& overrides = {}) {
    const Config config = parse(yaml, overrides);
    double viscosity = 1, drag = 0;
    int frames = 1;
    Section solver = config.root().child("solver");
    solver.maybe("viscosity", viscosity);
    solver.maybe("drag", drag);
    Section datagen = config.root().child("datagen");
    datagen.maybe("frames", frames);
    return message_of<ConfigError>([&] { config.finish({"models"}); });
  };
  CHECK(finish("solver: {viscosity: 1}\nmodels: {a: 1}") == "no exception");
  CHECK(finish("solver:\n  drag: 1\n  viscosty: 2\n") ==
        "solver.viscosty is unknown (did you mean viscosity?)  x.yaml:3");
  CHECK(finish("solvre: {}\n") == "solvre is unknown (did you mean solver?)  x.yaml:1");
  CHECK(finish("modles: {}\n") == "modles is unknown (did you mean models?)  x.yaml:1");
  CHECK(finish("datagen: {frames: 1, viscosity: 2}") ==
        "datagen.viscosity is unknown (did you mean solver.viscosity?)  x.yaml:1");
  CHECK(finish("datagen: {xyzzy: 1}") == "datagen.xyzzy is unknown (known here: frames)  x.yaml:1");
  CHECK(finish("solver: {}", {"solver.vicsosity=2"}) ==
        "solver.vicsosity is unknown (did you mean viscosity?)  from the command line");
  CHECK(finish("solver: {}", {"plot.dpi=2"}) ==
        "plot is unknown (known here: models, solver, datagen)  from the command line");
}

TEST_CASE("config: a key that was only looked for is not read") {
  const Config config = parse("a: 1\nb: 2");
  CHECK(config.root().has("a"));
  CHECK_FALSE(config.root().has("c"));
  int b = 0;
  config.root().maybe("b", b);
  CHECK(message_of<ConfigError>([&] { config.finish(); }) == "a has no effect here; remove it  x.yaml:1");
  CHECK_FALSE(contains(config.resolved_yaml(), "a:"));
}

TEST_CASE("config: nested maps, lists of maps, optional blocks") {
  const Config config = parse("stages:\n  - {n: 1}\n  - n: 2\n    typo: 1\nempty:\nnone: null\nflat: 3\n");
  Section root = config.root();
  std::vector<Section> stages = root.list("stages");
  REQUIRE(stages.size() == 2);
  int sum = 0;
  for (Section& stage : stages) {
    int n = 0;
    stage.need("n", n, positive);
    sum = 10 * sum + n;
  }
  CHECK(sum == 12);
  CHECK(stages[1].path() == "stages.1");
  CHECK(root.list("absent").empty());
  CHECK(root.child("empty").keys().empty());
  CHECK_FALSE(root.maybe_child("none").has_value());
  CHECK_FALSE(root.maybe_child("nowhere").has_value());
  CHECK(root.maybe_child("empty") == std::nullopt);
  CHECK(message_of<ConfigError>([&] { root.child("flat"); }) ==
        "flat must be a map (key: value), not '3'  x.yaml:7");
  CHECK(message_of<ConfigError>([&] { root.list("flat"); }) ==
        "flat must be a list of maps, not '3'  x.yaml:7");
  CHECK(message_of<ConfigError>([&] { parse("l: [1]").root().list("l"); }) ==
        "l.0 must be a map (key: value), not '1'  x.yaml:1");
  CHECK(message_of<ConfigError>([&] { config.finish({"flat"}); }) ==
        "stages.1.typo is unknown (known here: n)  x.yaml:4");
}

TEST_CASE("config: overrides") {
  const auto value = [](const std::string& yaml, const std::vector<std::string>& overrides) {
    const Config config = parse(yaml, overrides);
    double dt = -1;
    config.root().child("solver").child("stepper").maybe("dt", dt, positive);
    config.finish();
    return dt;
  };
  CHECK(value("solver: {stepper: {dt: 1}}", {"solver.stepper.dt=2"}) == 2);
  CHECK(value("solver: {stepper: {dt: 1}}", {"solver.stepper.dt=2", "solver.stepper.dt=3"}) == 3);
  CHECK(value("", {"solver.stepper.dt=0.5"}) == 0.5);
  CHECK(value("solver:\n", {"solver.stepper={dt: 4}"}) == 4);
  const auto refused = [&](const std::string& yaml, const std::string& text) {
    return message_of<ConfigError>([&] { value(yaml, {text}); });
  };
  for (const std::string text : {"solver", "=1", "solver..dt=1", ".a=1", "a.=1", "a b=1", ""})
    CHECK(refused("", text) == "'" + text + "' is not of the form key.path=value  from the command line");
  CHECK(contains(refused("", "solver.stepper={dt: "), "'solver.stepper={dt: ': the value is not valid YAML: "));
  CHECK(refused("", "solver.stepper.dt=-1") ==
        "solver.stepper.dt is -1 but must be positive  from the command line");
  CHECK(refused("solver: {stepper: 3}", "solver.stepper.dt=1") ==
        "'solver.stepper.dt=1' sets a key inside solver.stepper, which is not a map  from the command line");
  // null takes a default away
  const Config config = parse("", {"v=null"});
  std::optional<int> v = 3;
  config.root().maybe("v", v);
  CHECK(v == std::nullopt);
  // and a map out
  const Config maps = parse("models: {x: {kind: sns}, y: {kind: acdm}}", {"models.y=null"});
  CHECK(maps.root().child("models").keys() == std::vector<std::string>{"x"});
}

TEST_CASE("config: names that only an override mentions are taken for misspelt") {
  const auto names = [](const std::vector<std::string>& overrides) {
    return parse("models: {gaussian: {kind: a}, sns: {kind: b}}", overrides).root().child("models").names();
  };
  using Names = std::vector<std::string>;
  CHECK(names({"models.sns.steps=3"}) == Names{"gaussian", "sns"});
  CHECK(names({"models.new={kind: c}", "models.new.steps=3"}) == Names{"gaussian", "sns", "new"});
  CHECK(message_of<ConfigError>([&] { names({"models.gausian.training.steps=3"}); }) ==
        "models.gausian is unknown (did you mean gaussian?); models.gausian={...} adds it  from the command "
        "line");
  CHECK(message_of<ConfigError>([&] {
          names({"models.sns=null", "models.sns.steps=3"});
        }) == "models.sns is unknown (known here: gaussian); models.sns={...} adds it  from the command line");
  CHECK(names({"models.sns=null"}) == Names{"gaussian"});
  const std::string none = message_of<ConfigError>([&] { names({"models.sms=null"}); });
  CHECK(none.starts_with("models.sms is unknown (did you mean sns?)"));
}

TEST_CASE("config: overrides of list items") {
  const auto list = [](const std::string& text) {
    const Config config = parse("a: {l: [1, 2]}", {text});
    std::vector<int> l;
    config.root().child("a").maybe("l", l);
    return l;
  };
  CHECK(list("a.l.1=5") == std::vector<int>{1, 5});
  CHECK(list("a.l.2=5") == std::vector<int>{1, 2, 5});
  CHECK(list("a.l=[7]") == std::vector<int>{7});
  CHECK(message_of<ConfigError>([&] { list("a.l.3=5"); }) ==
        "'a.l.3=5': a.l is a list of 2; address an item as 0..1 (2 appends)  from the command line");
  CHECK(contains(message_of<ConfigError>([&] { list("a.l.x=5"); }), "a.l is a list of 2"));
}

TEST_CASE("config: an override of an alias leaves its anchor alone") {
  const Config config = parse("a: &x {n: 1}\nb: *x", {"b.n=2"});
  int a = 0, b = 0;
  config.root().child("a").maybe("n", a);
  config.root().child("b").maybe("n", b);
  CHECK(a == 1);
  CHECK(b == 2);
}

TEST_CASE("config: what is not a configuration") {
  const auto refused = [](const std::string& yaml) { return message_of<ConfigError>([&] { parse(yaml); }); };
  CHECK(contains(refused("a: [1, 2\nb: 3\n"), "not valid YAML: "));
  CHECK(contains(refused("a: 1\n b: [\n"), "x.yaml:2:"));
  CHECK(refused("a: 1\nb: 2\na: 3\n") == "key a is given twice (first: x.yaml:1)  x.yaml:3");
  CHECK(refused("s:\n  a: 1\n  a: 1\n") == "key a is given twice (first: x.yaml:2)  x.yaml:3");
  CHECK(refused("- 1\n") == "the file must hold a map (key: value), not a list  x.yaml");
  CHECK(refused("hello\n") == "the file must hold a map (key: value), not a single value  x.yaml");
  CHECK(refused("a: 1\n---\nb: 1\n") == "one YAML document is expected, not 2  x.yaml");
  CHECK(contains(refused("a: !!int 3"), "is not supported; remove it  x.yaml:1"));
  CHECK(contains(refused("? [a, b]\n: 1"), "a key must be a plain name"));
  CHECK(contains(refused(std::string(100, '[')), "x.yaml"));
  CHECK(contains(refused("a: " + std::string(100, '[') + std::string(100, ']')), "nested too deeply"));
  CHECK(contains(refused("a: &x [*x]"), "nested too deeply"));
  std::string laughs = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    laughs += fmt::format("l{0}: &l{0} [", i);
    for (int j = 0; j < 10; ++j) laughs += fmt::format("*l{}{}", i - 1, j < 9 ? ", " : "]\n");
  }
  CHECK(contains(refused(laughs), "nested too deeply or too large"));
  CHECK(parse("").root().keys().empty());
  CHECK(parse("# only a comment\n").root().keys().empty());
}

TEST_CASE("config: files") {
  const test::ScratchFolder folder;
  const auto file = folder / "run.yaml";
  CHECK(message_of<ConfigError>([&] { Config::load(file); }) ==
        "cannot read " + file.string() + ": No such file or directory");
  CHECK(contains(message_of<ConfigError>([&] { Config::load(folder.path()); }), "Is a directory"));
  write_text(file, "a: x\n");
  const Config config = Config::load(file, {"b=1"});
  CHECK(config.file() == file);
  int a = 0, b = 0;
  config.root().maybe("b", b);
  CHECK(b == 1);
  CHECK(message_of<ConfigError>([&] { config.root().maybe("a", a); }) ==
        "a must be an integer, not 'x'  " + file.string() + ":1");
}

TEST_CASE("config: nearest") {
  const std::vector<std::string> names = {"viscosity", "drag", "grid"};
  CHECK(nearest("viscosty", names) == "viscosity");
  CHECK(nearest("gird", names) == "grid");
  CHECK(nearest("darg", names) == "drag");
  CHECK(nearest("momentum", names).empty());
  CHECK(nearest("x", names).empty());
  CHECK(nearest("a", {}).empty());
}

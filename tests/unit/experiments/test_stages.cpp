#include "core/error.hpp"
#include "core/files.hpp"
#include "experiments/rollout.hpp"
#include "experiments/stage_records.hpp"
#include "experiments/stages.hpp"
#include "tests/support/scratch.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace fs = std::filesystem;
using sns::StageState;

namespace {

/// data -> train -> {rollout, which also waits for truth} -> report, as the experiments have it.
struct Pipeline {
  std::string viscosity = "viscosity: 0.01", steps = "steps: 100", floor = "floor: 8";
  std::vector<std::string> ran;
  bool fail_training = false, break_training = false;
  bool resumable = false;     ///< what a failed training has left
  std::string skipped;        ///< a stage that cannot be made here
  std::string optional;       ///< a stage that others do without
  bool record_inside = true;  ///< of the stage's folder, or beside it

  sns::StageGraph graph(const fs::path& root) {
    sns::StageGraph graph;
    const auto add = [&](const std::string& name, std::vector<std::pair<std::string, std::string>> inputs,
                         std::vector<std::string> from, std::vector<std::string> after = {}) {
      const fs::path folder = root / name;
      graph.add({.name = name,
                 .record = record_inside ? folder / "stage.json" : root / (name + ".stage.json"),
                 .outputs = {folder / "result.h5"},
                 .leftovers = {folder},
                 .resumable = [this] { return resumable; },
                 .inputs = std::move(inputs),
                 .built_from = std::move(from),
                 .after = std::move(after),
                 .optional = name == optional,
                 .own_process = name != "report",
                 .run = [this, name, folder]() -> std::optional<sns::StageFacts> {
                   if (name == skipped) return std::nullopt;
                   ran.push_back(name);
                   fs::create_directories(folder);
                   sns::write_text(folder / "partial", "half");
                   if (name == "train" && fail_training) throw sns::Stopped("stopped");
                   if (name == "train" && break_training) sns::fail("no space left");
                   sns::write_text(folder / "result.h5", "done with " + steps);
                   return sns::StageFacts{{"made", name}};
                 }});
    };
    add("data", {{"solver", viscosity}}, {});
    add("truth", {{"solver", viscosity}, {"rollout", floor}}, {});
    add("train", {{"training", steps}}, {"data"});
    add("rollout", {{"solver", viscosity}}, {"train"}, {"truth"});
    add("report", {}, {"rollout", "truth"});
    return graph;
  }
  /// Which stages a run executes.
  std::vector<std::string> run(const fs::path& root, const std::string& target = "report") {
    ran.clear();
    sns::StageGraph stages = graph(root);
    stages.run({target}, [](const sns::StageStatus&) {});
    return ran;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("finished stages are not run again") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  CHECK(pipeline.run(folder.path()) == Names{"data", "truth", "train", "rollout", "report"});
  CHECK(pipeline.run(folder.path()).empty());
  const auto status = pipeline.graph(folder.path()).status("train");
  CHECK(status.state == StageState::finished);
  CHECK(status.facts.at("made") == "train");
}

TEST_CASE("a changed input reruns what depends on it and nothing else") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  SUBCASE("training") {
    pipeline.steps = "steps: 200";
    CHECK(pipeline.graph(folder.path()).status("train").reason == "training: steps: 100 -> steps: 200");
    CHECK(pipeline.graph(folder.path()).status("rollout").reason == "train changed");
    CHECK(pipeline.run(folder.path()) == Names{"train", "rollout", "report"});
  }
  SUBCASE("a stage that is only waited for") {
    pipeline.floor = "floor: 16";
    CHECK(pipeline.run(folder.path()) == Names{"truth", "report"});
  }
  SUBCASE("the solver") {
    pipeline.viscosity = "viscosity: 0.02";
    CHECK(pipeline.run(folder.path()) == Names{"data", "truth", "train", "rollout", "report"});
  }
  SUBCASE("changing back runs again: the record holds one hash") {
    pipeline.steps = "steps: 200";
    pipeline.run(folder.path());
    pipeline.steps = "steps: 100";
    CHECK(pipeline.run(folder.path()) == Names{"train", "rollout", "report"});
  }
}

TEST_CASE("only what the target needs is run") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  CHECK(pipeline.run(folder.path(), "train") == Names{"data", "train"});
}

TEST_CASE("what can be made in a process of its own, as the stages before it are finished") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  const auto ready = [&](const std::string& target) {
    Names names;
    for (const sns::StageStatus& status : pipeline.graph(folder.path()).ready({target}))
      names.push_back(status.name);
    return names;
  };
  CHECK(ready("report") == Names{"data", "truth"});
  CHECK(ready("train") == Names{"data"});
  pipeline.run(folder.path(), "data");
  CHECK(ready("report") == Names{"truth", "train"});
  pipeline.run(folder.path(), "train");
  CHECK(ready("report") == Names{"truth"});  // which the rollout waits for
  pipeline.run(folder.path(), "truth");
  CHECK(ready("report") == Names{"rollout"});
  pipeline.run(folder.path(), "rollout");
  CHECK(ready("report").empty());  // the report stays where it is asked for

  pipeline.steps = "steps: 200";
  CHECK(ready("report") == Names{"train"});
  // Finished, but set aside by a run with other inputs that was stopped: it is put back before others start.
  pipeline.fail_training = true;
  CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
  pipeline.steps = "steps: 100";
  sns::StageGraph graph = pipeline.graph(folder.path());
  CHECK(graph.status("train").aside);
  graph.restore({"report"});
  CHECK_FALSE(graph.status("train").aside);
  CHECK(graph.status("train").state == StageState::finished);
  CHECK(ready("report").empty());
}

TEST_CASE("stages that other processes have made count with their times") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path(), "train");
  sns::StageGraph graph = pipeline.graph(folder.path());
  graph.run({"train"}, [](const sns::StageStatus&) {}, {{"train", 12.5}});
  REQUIRE(graph.results().size() == 2);
  CHECK_FALSE(graph.results()[0].seconds);
  CHECK(graph.results()[1].seconds == 12.5);
}

TEST_CASE("a missing output is made again, with the same hash downstream") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  fs::remove(folder.path() / "data" / "result.h5");
  CHECK(pipeline.run(folder.path()) == Names{"data"});
}

TEST_CASE("an output that was cut short is made again from the start; one that has grown is left alone") {
  const sns::test::ScratchFolder folder;
  const fs::path root = folder.path();
  Pipeline pipeline;
  pipeline.run(root);
  sns::write_text(root / "rollout" / "result.h5", "done with steps: 100, and a note of the user's");
  CHECK(pipeline.run(root).empty());

  fs::resize_file(root / "rollout" / "result.h5", 4);
  sns::write_text(root / "rollout" / "leftover", "of the first run");
  const sns::StageStatus status = pipeline.graph(root).status("rollout");
  CHECK(status.state == StageState::changed);
  CHECK(status.reason == "result.h5 has 4 of 20 bytes");
  CHECK(pipeline.run(root) == Names{"rollout"});
  CHECK(sns::read_text(root / "rollout" / "result.h5") == "done with steps: 100");
  CHECK_FALSE(fs::exists(root / "rollout" / "leftover"));
  CHECK(pipeline.run(root).empty());
}

TEST_CASE("an interrupted stage keeps its files and continues; a changed one starts afresh") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.fail_training = true;
  CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
  CHECK(pipeline.graph(folder.path()).status("train").state == StageState::interrupted);
  CHECK(fs::exists(folder.path() / "train" / "partial"));
  sns::write_text(folder.path() / "train" / "checkpoint", "kept");
  pipeline.fail_training = false;
  SUBCASE("same inputs") {
    CHECK(pipeline.run(folder.path()) == Names{"train", "rollout", "report"});
    CHECK(fs::exists(folder.path() / "train" / "checkpoint"));
  }
  SUBCASE("other inputs") {
    pipeline.steps = "steps: 200";
    pipeline.run(folder.path());
    CHECK_FALSE(fs::exists(folder.path() / "train" / "checkpoint"));
  }
}

TEST_CASE("a run with other inputs that fails leaves the finished results as they were") {
  const sns::test::ScratchFolder folder;
  const fs::path result = folder.path() / "train" / "result.h5";
  Pipeline pipeline;
  pipeline.run(folder.path());
  pipeline.steps = "steps: 200";
  pipeline.break_training = true;
  CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Error);
  CHECK(sns::read_text(result) == "done with steps: 100");
  SUBCASE("which are still finished for the inputs that made them") {
    pipeline.steps = "steps: 100";
    CHECK(pipeline.run(folder.path()).empty());
  }
  SUBCASE("also if a stopped run came between") {
    pipeline.break_training = false;
    pipeline.fail_training = true;
    CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
    CHECK(sns::read_text(folder.path() / "train.previous" / "result.h5") == "done with steps: 100");
    pipeline.fail_training = false;
    pipeline.run(folder.path());
    CHECK(sns::read_text(result) == "done with steps: 200");
    CHECK_FALSE(fs::exists(folder.path() / "train.previous"));
  }
  SUBCASE("also if it comes after a stopped run with yet other inputs") {
    pipeline.break_training = false;
    pipeline.fail_training = true;
    pipeline.steps = "steps: 300";
    CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
    pipeline.break_training = true;
    pipeline.fail_training = false;
    pipeline.steps = "steps: 400";
    CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Error);
    pipeline.steps = "steps: 100";
    CHECK(pipeline.run(folder.path()).empty());
    CHECK(sns::read_text(result) == "done with steps: 100");
  }
}

TEST_CASE("a run with other inputs that fails keeps what the next one goes on from") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  pipeline.steps = "steps: 200";
  pipeline.break_training = pipeline.resumable = true;
  CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Error);
  CHECK(sns::read_text(folder.path() / "train" / "partial") == "half");
  CHECK(sns::read_text(folder.path() / "train.previous" / "result.h5") == "done with steps: 100");
  CHECK(pipeline.graph(folder.path()).status("train").state == StageState::interrupted);
  SUBCASE("and the results of before for the inputs that made them") {
    pipeline.steps = "steps: 100";
    CHECK(pipeline.run(folder.path()).empty());
    CHECK(sns::read_text(folder.path() / "train" / "result.h5") == "done with steps: 100");
  }
  SUBCASE("until it is finished") {
    pipeline.break_training = false;
    pipeline.run(folder.path());
    CHECK(sns::read_text(folder.path() / "train" / "result.h5") == "done with steps: 200");
    CHECK_FALSE(fs::exists(folder.path() / "train.previous"));
  }
}

TEST_CASE("a finished result that lies aside is found where nothing stands in its place") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  pipeline.steps = "steps: 200";
  pipeline.fail_training = true;
  CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
  pipeline.steps = "steps: 100";
  SUBCASE("as what stood there was removed") {
    fs::remove_all(folder.path() / "train");
    CHECK(pipeline.run(folder.path()).empty());
    CHECK(sns::read_text(folder.path() / "train" / "result.h5") == "done with steps: 100");
  }
  SUBCASE("and is left aside where something does that has no record") {
    fs::remove(folder.path() / "train" / "stage.json");
    sns::write_text(folder.path() / "train" / "result.h5", "somebody's");
    CHECK(pipeline.graph(folder.path()).status("train").state == StageState::missing);
  }
}

TEST_CASE("a folder in which another process works is not moved away") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  const fs::path train = folder.path() / "train";
  pipeline.steps = "steps: 200";
  {
    const sns::FolderLock training(train);
    CHECK_THROWS_AS(pipeline.run(folder.path()), sns::FolderBusy);
    CHECK(sns::read_text(train / "result.h5") == "done with steps: 100");
    CHECK_FALSE(fs::exists(train.string() + ".previous"));
  }
  pipeline.run(folder.path());
  CHECK(sns::read_text(train / "result.h5") == "done with steps: 200");
}

TEST_CASE("the time of a finished stage counts when something is added to it") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  const fs::path record = folder.path() / "train" / "stage.json";
  auto json = nlohmann::json::parse(sns::read_text(record));
  json["seconds"] = 3600.0;
  json["started"] = "2026-01-02T03:04:05Z";
  sns::write_text(record, json.dump());
  for (const bool resumable : {true, false}) {  // the latter is made from nothing
    pipeline.resumable = resumable;
    fs::remove(folder.path() / "train" / "result.h5");
    pipeline.run(folder.path());
    json = nlohmann::json::parse(sns::read_text(record));
    CHECK((json["seconds"].get<double>() >= 3600) == resumable);
    CHECK((json["started"] == "2026-01-02T03:04:05Z") == resumable);
  }
}

TEST_CASE("a finished result is taken back after a stopped run with other inputs") {
  for (const bool record_inside : {true, false}) {
    CAPTURE(record_inside);
    const sns::test::ScratchFolder folder;
    Pipeline pipeline;
    pipeline.record_inside = record_inside;
    pipeline.run(folder.path());
    pipeline.steps = "steps: 200";
    pipeline.fail_training = true;
    CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
    pipeline.steps = "steps: 100";
    const auto status = pipeline.graph(folder.path()).status("train");
    CHECK(status.state == StageState::finished);
    CHECK(status.facts.at("made") == "train");
    CHECK(fs::exists(folder.path() / "train.previous"));  // looking moves nothing
    CHECK(pipeline.run(folder.path()).empty());
    CHECK(sns::read_text(folder.path() / "train" / "result.h5") == "done with steps: 100");
    CHECK_FALSE(fs::exists(folder.path() / "train.previous"));
    // Unless something of it was lost.
    pipeline.steps = "steps: 200";
    CHECK_THROWS_AS(pipeline.run(folder.path()), sns::Stopped);
    fs::remove(folder.path() / "train.previous" / "result.h5");
    pipeline.steps = "steps: 100";
    pipeline.fail_training = false;
    CHECK(pipeline.run(folder.path()) == Names{"train"});
  }
}

TEST_CASE("results tell what was run and what was finished before") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path(), "train");
  sns::StageGraph graph = pipeline.graph(folder.path());
  graph.run({"report"}, [](const sns::StageStatus&) {});
  REQUIRE(graph.results().size() == 5);
  CHECK_FALSE(graph.results()[0].seconds.has_value());
  CHECK(graph.results()[4].seconds.has_value());
}

TEST_CASE("a stage that cannot be made here is tried again") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.skipped = "report";
  pipeline.run(folder.path());
  pipeline.skipped.clear();
  CHECK(pipeline.run(folder.path()) == Names{"report"});
  CHECK(pipeline.run(folder.path()).empty());
}

TEST_CASE("a stage that cannot be made here leaves what was there, and the stages that wait for it") {
  for (const bool record_inside : {true, false}) {
    CAPTURE(record_inside);
    const sns::test::ScratchFolder folder;
    const fs::path result = folder.path() / "rollout" / "result.h5";
    Pipeline pipeline;
    pipeline.record_inside = record_inside;
    pipeline.run(folder.path());
    pipeline.viscosity = "viscosity: 0.02";
    pipeline.steps = "steps: 200";
    pipeline.skipped = "rollout";
    sns::StageGraph graph = pipeline.graph(folder.path());
    graph.run({"report"}, [](const sns::StageStatus&) {});
    std::vector<std::string> left;
    for (const sns::StageResult& made : graph.results())
      if (made.skipped) left.push_back(made.name);
    CHECK(left == Names{"rollout", "report"});
    CHECK(sns::read_text(result) == "done with steps: 100");
    CHECK(graph.status("rollout").state == StageState::changed);
    pipeline.skipped.clear();
    CHECK(pipeline.run(folder.path()) == Names{"rollout", "report"});
    CHECK(sns::read_text(result) == "done with steps: 200");
  }
}

TEST_CASE("what needs an optional stage is made without it, and again when that is there") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.skipped = pipeline.optional = "truth";
  CHECK(pipeline.run(folder.path()) == Names{"data", "train", "rollout", "report"});
  CHECK(pipeline.graph(folder.path()).status("report").reason == "was made without truth");
  CHECK(pipeline.run(folder.path()) == Names{"rollout", "report"});  // truth is tried again
  pipeline.skipped.clear();
  CHECK(pipeline.run(folder.path()) == Names{"truth", "rollout", "report"});
  CHECK(pipeline.run(folder.path()).empty());
}

TEST_CASE("a damaged record counts as missing") {
  const sns::test::ScratchFolder folder;
  Pipeline pipeline;
  pipeline.run(folder.path());
  sns::write_text(folder.path() / "report" / "stage.json", "{\"hash\": ");
  CHECK(pipeline.run(folder.path()) == Names{"report"});
}

TEST_CASE("records tell what lies in a run folder that experiments share") {
  const sns::test::ScratchFolder folder;
  const fs::path run = folder / "run";
  const auto add = [&](sns::StageGraph& graph, const std::string& name, const fs::path& record,
                       const std::function<sns::StageFacts()>& make) {
    graph.add({.name = name,
               .record = run / record,
               .outputs = {run / record.parent_path()},
               .leftovers = {run / record.parent_path()},
               .inputs = {},
               .built_from = {},
               .after = {},
               .run = [make]() -> std::optional<sns::StageFacts> { return make(); }});
  };
  const auto nothing = [] { return sns::StageFacts(); };
  const auto stopped = []() -> sns::StageFacts { throw sns::Stopped("stopped"); };
  sns::StageGraph graph;
  add(graph, "train/sns", "models/sns/shipped/stage.json", [] {
    return sns::StageFacts{{"weights", "shipped"}};
  });
  add(graph, "train/gaussian", "models/gaussian/stage.json", stopped);
  add(graph, "rollout/sns", "rollouts/sns.stage.json", nothing);
  add(graph, "rollout/sns.B", "rollouts/sns.B.stage.json", stopped);
  add(graph, "ensemble/sns", "rollouts/ensembles/sns.stage.json", stopped);
  add(graph, "evaluate", "figure1/evaluation/stage.json", nothing);
  add(graph, "report", "figure1/report.stage.json", nothing);
  for (const std::string& stage : graph.names()) {
    try {
      graph.run({stage}, [](const sns::StageStatus&) {});
    } catch (const sns::Stopped&) {
      continue;  // and is not finished
    }
  }
  CHECK_FALSE(sns::stage_records(run)[0].step);
  for (const char* output : {"rollouts/sns.B.h5", "rollouts/ensembles/sns.h5"}) {
    CHECK_FALSE(sns::interrupted_step(run / output));
    sns::write_text((run / output).string() + ".checkpoint", "{\"step\":70}\nand what is not text");
    CHECK_FALSE(sns::interrupted_step(run / output));  // without its frames
  }
  sns::write_text(run / "rollouts/sns.B.h5.partial", "");
  sns::write_text(run / "rollouts/ensembles/sns.h5.partial", "");
  fs::create_directories(run / "rollouts/frames.previous");
  fs::copy(run / "rollouts/sns.stage.json", run / "rollouts/frames.previous/sns.stage.json");
  sns::write_text(run / "models/stage.json", "{");

  const auto look = [](const fs::path& at) {
    std::map<std::string, sns::StageRecord> found;
    for (const auto& record : sns::stage_records(at)) found[record.experiment + ":" + record.stage] = record;
    return found;
  };
  const auto found = look(run);
  REQUIRE(found.size() == 7);
  CHECK(found.at(":train/sns").state == "finished");
  CHECK(found.at(":train/sns").shipped);
  CHECK_FALSE(found.at(":train/sns").ended.empty());
  CHECK(found.at(":train/gaussian").state == "running");
  CHECK_FALSE(found.at(":train/gaussian").step);
  CHECK(found.at(":train/gaussian").ended.empty());
  CHECK(found.at(":rollout/sns").state == "finished");
  CHECK_FALSE(found.at(":rollout/sns").step);
  CHECK(found.at(":rollout/sns.B").step == 70);
  CHECK(found.at(":ensemble/sns").step == 70);
  CHECK(found.at("figure1:evaluate").state == "finished");
  CHECK(found.at("figure1:report").state == "finished");
  CHECK(sns::stage_records(run).back().experiment == "figure1");
  CHECK(look(run / "figure1").contains(":evaluate"));
  CHECK(look(run / "figure1/").contains(":report"));
  CHECK(look(run / "figure1/evaluation").contains(":evaluate"));
  CHECK(sns::stage_records(run / "nothing").empty());
  fs::create_directory_symlink(run, run / "figure1/itself");
  fs::create_directory_symlink(run / "figure1", folder / "linked");
  fs::create_directory(run / "a.stage.json");
  CHECK(sns::stage_records(run).size() == 7);
  CHECK(look(folder / "linked").contains(":report"));

  fs::create_directories(folder / "elsewhere/models/a/checkpoints/last");
  fs::create_directories(folder / "elsewhere/models/b");
  sns::write_text(folder / "elsewhere/models/a/stage.json",
                  R"({"hash": "", "stage": "train/a", "state": "running", "started": "2026-01-02"})");
  sns::write_text(folder / "elsewhere/models/a/checkpoints/last/state.json", "{}");
  sns::write_text(folder / "elsewhere/models/b/stage.json",
                  R"({"hash": "", "stage": "train/b", "started": "2026-01-01"})");
  fs::create_directories(folder / "links");
  fs::create_directory_symlink(folder / "elsewhere/models", folder / "links/models");
  const auto linked = sns::stage_records(folder / "links");
  REQUIRE(linked.size() == 2);
  CHECK(linked[0].stage == "train/b");  // begun before
  CHECK(linked[1].stage == "train/a");
  CHECK_FALSE(linked[1].step);  // of a damaged checkpoint
  sns::write_text(run / "models/stage.json", R"({"hash": "", "seconds": "long"})");
  CHECK(sns::test::contains(sns::test::message_of([&] { sns::stage_records(run); }),
                            "models/stage.json is malformed"));
}

TEST_CASE("unknown and repeated stages are errors") {
  sns::StageGraph graph;
  sns::Stage a, b;
  a.name = "a";
  b.name = "b";
  b.built_from = {"a"};
  CHECK_THROWS_AS(graph.add(b), sns::Error);
  graph.add(a);
  CHECK_THROWS_AS(graph.add(a), sns::Error);
  CHECK_THROWS_AS(graph.hash("c"), sns::Error);
}

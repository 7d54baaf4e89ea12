// sns: chaotic flows and self-refining neural surrogates, from the command line.
#include "app/commands.hpp"
#include "core/build_info.hpp"
#include "core/stop.hpp"

int main(int argc, char** argv) {
  sns::let_idle_threads_sleep(argv);
  sns::install_stop_handlers();
  CLI::App app{"sns: run chaotic flows, make data sets of them, train surrogates and roll them out", "sns"};
  app.set_version_flag("--version",
                       "sns " + sns::build_info().version + " (" + sns::build_info().git_commit + ")");
  app.require_subcommand(1);
  app.footer("'sns VERB --help' explains a verb and shows examples.");
  for (auto add : {sns::add_check, sns::add_simulate, sns::add_datagen, sns::add_verify, sns::add_stability,
                   sns::add_train, sns::add_predict, sns::add_export, sns::add_calibrate, sns::add_rollout,
                   sns::add_evaluate, sns::add_reproduce, sns::add_bench, sns::add_info}) {
    add(app);
  }
  return sns::run_program(app, argc, argv);
}

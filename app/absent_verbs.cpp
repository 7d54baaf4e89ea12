// Verbs that need LibTorch, in a program built without it. SNS_ABSENT_VERBS is a list of X(verb).
#include "app/commands.hpp"
#include "core/error.hpp"

#define X(verb)                                                                                           \
  void sns::add_##verb(CLI::App& app) {                                                                   \
    CLI::App* command = app.add_subcommand(#verb, "not in this build: needs LibTorch");                   \
    command->allow_extras();                                                                              \
    command->callback([] {                                                                                \
      sns::fail<sns::ConfigError>(                                                                        \
          "this program was built without LibTorch, which 'sns {}' needs: run scripts/setup, then cmake " \
          "--preset release and build again",                                                             \
          #verb);                                                                                         \
    });                                                                                                   \
  }
SNS_ABSENT_VERBS
#undef X

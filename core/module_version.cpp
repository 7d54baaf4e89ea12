// In every module that a program opens at run time: which version it is of.
extern "C" const char* sns_module_version() {
  return SNS_MODULE_VERSION;
}

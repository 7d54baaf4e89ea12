// A shared library that does not say which version it is of.
extern "C" int sns_nothing() {
  return 0;
}

#include "core/hdf5_links.hpp"

#include "core/hdf5_internal.hpp"

namespace sns::h5 {
namespace {

using detail::check;

Link::Kind kind_of_object(hid_t file, const char* name) {
  const Handle object(H5Oopen(file, name, H5P_DEFAULT));
  if (!object) return Link::Kind::other;
  switch (H5Iget_type(object.id())) {
    case H5I_DATASET:
      return Link::Kind::array;
    case H5I_GROUP:
      return Link::Kind::group;
    default:
      return Link::Kind::other;  // a named type
  }
}

/// The value of a soft or external link; empty if it cannot be read.
std::string value_of(hid_t file, const char* name, const H5L_info_t& info) {
  std::string value(info.u.val_size, '\0');
  if (value.empty() || H5Lget_val(file, name, value.data(), value.size(), H5P_DEFAULT) < 0) return {};
  return value;
}

herr_t collect(hid_t file, const char* name, const H5L_info_t* info, void* out) {
  Link link{.path = std::string("/") + name};
  if (info->type == H5L_TYPE_HARD) {
    link.kind = kind_of_object(file, name);
  } else if (info->type == H5L_TYPE_SOFT) {
    link.kind = Link::Kind::soft;
    link.target = value_of(file, name, *info).c_str();  // ends with a zero
  } else if (info->type == H5L_TYPE_EXTERNAL) {
    link.kind = Link::Kind::external;
    const std::string value = value_of(file, name, *info);
    const char *other = nullptr, *path = nullptr;
    if (H5Lunpack_elink_val(value.data(), value.size(), nullptr, &other, &path) >= 0)
      link.target = std::string(other) + ":" + path;
  }
  static_cast<std::vector<Link>*>(out)->push_back(std::move(link));
  return 0;
}

}  // namespace

std::vector<Link> links(const File& file) {
  const detail::Session session;
  std::vector<Link> found;
  const herr_t status = H5Lvisit(file.id(), H5_INDEX_NAME, H5_ITER_INC, collect, &found);
  check(status, "cannot list {}{}", file.label(), found.empty() ? "" : ", at or behind " + found.back().path);
  return found;
}

}  // namespace sns::h5

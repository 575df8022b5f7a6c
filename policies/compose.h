// Inheritance with the profiles as an argument: compose() in document.h looks them up among the
// built-in ones.
#pragma once

#include <functional>

#include "policies/document.h"

namespace moat::policies {

using FindProfile = std::function<Result<Document>(std::string_view name)>;

Result<Document> compose(Document document, const FindProfile& find);

}  // namespace moat::policies

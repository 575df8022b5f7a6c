// The parts of parse_document, one file for each noun. Not for users: document.h is.
#pragma once

#include "policies/document.h"
#include "policies/field.h"

namespace moat::policies {

Status read_metadata(const Field& field, Document& into);
Status read_spec(const Field& field, Document& into);
Status read_transitions(const Field& field, Document& into);
Status read_phases(const Field& field, Document& into);
Status read_boundary(const Field& field, PhaseRules& into);

// The phase a key names; the error is at the key.
Result<Phase> read_phase(const Field& parent, const Node& child);

}  // namespace moat::policies

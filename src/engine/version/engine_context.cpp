#include "engine/version/engine_context.h"

namespace lsmkv {

TablePtr EngineContext::MakeTable(const TableRecord& record) {
  std::vector<BlobFilePtr> blobs;
  blobs.reserve(record.blobs.size());
  for (const BlobRef& ref : record.blobs) {
    blobs.push_back(blob_files.Get(ref, [&] {
      return std::make_shared<const BlobFile>(ref.id, ref.file_bytes, BlobPath(ref.id), tables, janitor);
    }));
  }
  return std::make_shared<const TableFile>(record, TablePath(record.id), std::move(blobs), tables, janitor);
}

}  // namespace lsmkv

"""Files: written whole or not at all, locked, digested, and filled by many machines."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.files.code_digest import Code, digest_code, digest_package
    from expressionist.files.digests import digest_file, md5
    from expressionist.files.disk import DATABASE_PATIENCE, explain_disk, reserve
    from expressionist.files.locks import lock_file
    from expressionist.files.origin import find_given, find_origin
    from expressionist.files.row_record import Span, cut_spans, find_gaps, read_record, write_record
    from expressionist.files.sharding import Compute, clear_shared, run_shards, share_folder
    from expressionist.files.store import (
        allocate_rows,
        read_array,
        read_arrays,
        read_json,
        read_table,
        write_array,
        write_arrays,
        write_json,
        write_table,
        write_whole,
    )
else:
    __getattr__ = lend(__name__, __file__)

"""The shared libraries: what departments hold, kept as they said it, with every past version.

    land → load      one window of a source, into the library, once      `journey`
    build            a thematic library, where its parents changed      `thematic`
    sweep            what killed runs left behind                        `leftovers`
    as_of            what a library said at any past moment              `history`

Plain functions over settings and a batch's number; schedulers call them and own nothing.
"""

/*
 * The two sides of a transport as state machines, independent of each other. Each edge of a picture has its line below it, which names what
 * takes it. The lines are the tables of lib/transport/state.c; test/states.sh keeps them equal.
 */
#ifndef CONVEYOR_STATE_H
#define CONVEYOR_STATE_H

/**
 * The read side.
 *
 *     +---------------+
 *     |    paused     |---3,4---> eof -----9-----.
 *     |     | ^       |                          v
 *     |   1 | | 2     |---7,8--------------->  closed
 *     |     v |       |                          ^
 *     |    reading    |---5,6---> error ---10----'
 *     +---------------+
 *
 *      1  paused  -> reading  active, cvy_ctx_resume, cvy_transport_readable_state_changed, a holder's removal, low mark
 *      2  reading -> paused   cvy_ctx_suspend, cvy_transport_readable_state_changed, high mark
 *      3  paused  -> eof      end of stream that was under way, or while closing gracefully
 *      4  reading -> eof      end of stream
 *      5  paused  -> error    read error that the probe finds, or while closing gracefully
 *      6  reading -> error    read error
 *      7  paused  -> closed   end of the connection
 *      8  reading -> closed   end of the connection
 *      9  eof     -> closed   end of the connection
 *     10  error   -> closed   end of the connection
 *
 * End of the connection: its handle is closed, after cvy_transport_close, cvy_transport_shutdown, an error, or the loop's end.
 */
typedef enum cvy_read_state {
    CVY_READ_PAUSED,
    CVY_READ_READING,
    CVY_READ_EOF,
    CVY_READ_ERROR,
    CVY_READ_CLOSED
} cvy_read_state_t;

/**
 * The write side.
 *
 *     +---------------+
 *     |     idle      |---3,4---> shutting ---5---> shut ---12---.
 *     |     | ^       |             |   |                        v
 *     |   1 | | 2     |---9,10------|---'--11-------------->  closed
 *     |     v |       |             8                            ^
 *     |    writing    |             v                            |
 *     |               |---6,7---> error ------------13-----------'
 *     +---------------+
 *
 *      1  idle     -> writing   flush that the kernel does not take whole: cvy_transport_flush, or the turn's end
 *      2  writing  -> idle      flush done
 *      3  idle     -> shutting  cvy_transport_shutdown_write; graceful close: cvy_transport_close, cvy_transport_shutdown, read-closed
 *      4  writing  -> shutting  cvy_transport_shutdown_write; graceful close: cvy_transport_close, cvy_transport_shutdown, read-closed
 *      5  shutting -> shut      flush done, and our end of stream sent
 *      6  idle     -> error     flush failed
 *      7  writing  -> error     flush failed
 *      8  shutting -> error     flush failed
 *      9  idle     -> closed    end of the connection
 *     10  writing  -> closed    end of the connection
 *     11  shutting -> closed    end of the connection
 *     12  shut     -> closed    end of the connection
 *     13  error    -> closed    end of the connection
 */
typedef enum cvy_write_state {
    CVY_WRITE_IDLE,
    CVY_WRITE_WRITING,
    CVY_WRITE_SHUTTING,
    CVY_WRITE_SHUT,
    CVY_WRITE_ERROR,
    CVY_WRITE_CLOSED
} cvy_write_state_t;

#endif

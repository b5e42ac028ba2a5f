// Netty's ByteBuf and ChannelPipeline in the in-process bench; see driver.h for what it reads and answers.
// Run it without leak detection: at a sampled buffer addFlattenedComponents of 4.1.48 takes a composite that was released.
import io.netty.buffer.ByteBuf;
import io.netty.buffer.CompositeByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.Scanner;

public final class InprocNetty {
    private static final int PIECE = 64, PIECES = 1024, TIMES = 64, BLOCK = 1 << 20, SEGMENT = 128 * 1024, MOVES = 1000, EVENTS = 10000;
    private static final PooledByteBufAllocator POOL = PooledByteBufAllocator.DEFAULT;
    private static final byte[] BYTES = new byte[PIECE];
    private static CompositeByteBuf chain;
    private static EmbeddedChannel channel;
    private static ChannelHandlerContext source;
    private static long taken;

    @ChannelHandler.Sharable
    private static final class Pass extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            context.fireChannelRead(message);
        }
    }

    private static final class Sink extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            taken++;
        }
    }

    private static long append() {
        for (int t = 0; t < TIMES; t++) {
            ByteBuf buf = POOL.directBuffer(PIECE * PIECES);
            for (int i = 0; i < PIECES; i++) {
                buf.writeBytes(BYTES);
            }
            buf.skipBytes(buf.readableBytes());
            buf.release();
        }
        return TIMES * PIECES;
    }

    private static CompositeByteBuf composite() {
        CompositeByteBuf all = POOL.compositeDirectBuffer(BLOCK / SEGMENT);
        for (int n = 0; n < BLOCK; n += SEGMENT) {
            all.addComponent(true, POOL.directBuffer(SEGMENT).writerIndex(SEGMENT));
        }
        return all;
    }

    // Out of one piece of 1 MiB, which favours it: a slice of a composite buffer first looks for its component.
    private static long split(int size) {
        ByteBuf in = POOL.directBuffer(BLOCK).writerIndex(BLOCK);
        long frames = 0;
        for (; in.isReadable(); frames++) {
            in.readRetainedSlice(size).release();
        }
        in.release();
        return frames;
    }

    private static long move() {
        for (int i = 0; i < MOVES; i++) {
            chain = POOL.compositeDirectBuffer(BLOCK / SEGMENT).addFlattenedComponents(true, chain);
        }
        return MOVES;
    }

    private static void link(ChannelHandler between, int size) {
        channel = new EmbeddedChannel(new ChannelInboundHandlerAdapter());
        source = channel.pipeline().firstContext();
        for (int i = 0; i < size; i++) {
            channel.pipeline().addLast(between instanceof Pass ? between : new ChannelOutboundHandlerAdapter());
        }
        channel.pipeline().addLast(new Sink());
    }

    private static long send() {
        for (int i = 0; i < EVENTS; i++) {
            source.fireChannelRead(BYTES);
        }
        return EVENTS;
    }

    private static void prepare(String name, int size) {
        if (name.equals("move")) {
            chain = composite();
        } else if (name.equals("pass")) {
            link(new Pass(), size);
        } else if (name.equals("skip")) {
            link(new ChannelOutboundHandlerAdapter(), size);
        }
    }

    private static long run(String name, int size) {
        switch (name) {
            case "append": return append();
            case "split": return split(size);
            case "move": return move();
            default: return send();
        }
    }

    private static long now() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private static double measure(String name, int size, double seconds) {
        long spent = 0, operations = 0, until = now() + (long) (seconds * 1e9);
        prepare(name, size);
        do {
            long begin = now();
            operations += run(name, size);
            spent += now() - begin;
        } while (now() < until);
        if (name.equals("move")) {
            chain.release();
        }
        return (double) spent / operations;
    }

    public static void main(String[] arguments) {
        Scanner in = new Scanner(System.in).useLocale(Locale.ROOT);
        while (in.hasNext()) {
            String name = in.next();
            int size = in.nextInt();
            System.out.printf(Locale.ROOT, "%.4f%n", measure(name, size, in.nextDouble()));
        }
    }
}

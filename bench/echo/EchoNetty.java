// Netty as its samples have it: LengthFieldBasedFrameDecoder, LengthFieldPrepender, FlushConsolidationHandler and a handler that echoes.
// One event loop; epoll where the native library is there, else NIO.
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import io.netty.handler.codec.LengthFieldPrepender;
import io.netty.handler.flush.FlushConsolidationHandler;
import java.net.InetSocketAddress;
import java.net.SocketAddress;

public final class EchoNetty {
    private static final class Echo extends ChannelInboundHandlerAdapter {
        @Override
        public void channelRead(ChannelHandlerContext context, Object frame) {
            context.writeAndFlush(frame, context.voidPromise());
        }

        @Override
        public void channelWritabilityChanged(ChannelHandlerContext context) {
            context.channel().config().setAutoRead(context.channel().isWritable());
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            context.close();
        }
    }

    private static final class Pipeline extends ChannelInitializer<Channel> {
        @Override
        protected void initChannel(Channel channel) {
            channel.pipeline().addLast(new FlushConsolidationHandler(256, true),
                new LengthFieldBasedFrameDecoder(16 << 20, 0, 4, 0, 4), new LengthFieldPrepender(4), new Echo());
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        String address = arguments[0];
        boolean tcp = address.startsWith("tcp:"), epoll = Epoll.isAvailable();
        if (!tcp && !epoll) {
            System.err.println("EchoNetty: local sockets need netty's native library: " + Epoll.unavailabilityCause());
            System.exit(77);
        }
        EventLoopGroup loop = epoll ? new EpollEventLoopGroup(1) : new NioEventLoopGroup(1);
        Class<? extends ServerChannel> kind = tcp
            ? (epoll ? EpollServerSocketChannel.class : NioServerSocketChannel.class)
            : EpollServerDomainSocketChannel.class;
        SocketAddress at = tcp ? new InetSocketAddress("127.0.0.1", Integer.parseInt(address.substring(4)))
            : new DomainSocketAddress(address.substring(5));
        ServerBootstrap server = new ServerBootstrap().group(loop).channel(kind).childHandler(new Pipeline());
        server.option(ChannelOption.SO_BACKLOG, 4096);
        if (tcp) server.childOption(ChannelOption.TCP_NODELAY, true);
        Channel channel = server.bind(at).sync().channel();
        System.out.println("ready " + (epoll ? "epoll" : "nio"));
        channel.closeFuture().sync();
    }
}

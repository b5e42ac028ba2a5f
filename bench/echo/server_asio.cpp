// asio: async_read_some into a buffer per connection that starts with 4 KiB and grows while reads fill it, async_write of whole frames from it.
#include <asio.hpp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

extern "C" {
#include "wire.h"
}

template <class Protocol> class connection : public std::enable_shared_from_this<connection<Protocol>> {
  public:
    explicit connection(typename Protocol::socket socket) : socket_(std::move(socket)), bytes_(4096)
    {
    }

    void read()
    {
        auto self = this->shared_from_this();
        socket_.async_read_some(asio::buffer(bytes_.data() + n_, bytes_.size() - n_),
                                [self](std::error_code error, std::size_t n) {
                                    if (!error) self->received(n);
                                });
    }

  private:
    void received(std::size_t n)
    {
        n_ += n;
        std::size_t missing, whole = wire_whole(bytes_.data(), n_, &missing);
        if (!whole) {
            if (n_ + missing > bytes_.size()) bytes_.resize(n_ + missing);
            read();
            return;
        }
        auto self = this->shared_from_this();
        asio::async_write(socket_, asio::buffer(bytes_.data(), whole),
                          [self, whole](std::error_code error, std::size_t) {
                              if (!error) self->written(whole);
                          });
    }

    void written(std::size_t whole)
    {
        n_ -= whole;
        bool full = whole + n_ == bytes_.size();
        if (n_) std::memmove(bytes_.data(), bytes_.data() + whole, n_);
        if (full && bytes_.size() < WIRE_READ_BYTES) bytes_.resize(2 * bytes_.size());
        read();
    }

    typename Protocol::socket socket_;
    std::vector<std::uint8_t> bytes_;
    std::size_t n_ = 0;
};

template <class Protocol> class server {
  public:
    server(asio::io_context &context, Protocol protocol, int fd, const wire_address_t &address)
        : acceptor_(context, protocol, fd), address_(address)
    {
        accept();
    }

  private:
    void accept()
    {
        acceptor_.async_accept([this](std::error_code error, typename Protocol::socket socket) {
            if (!error) {
                wire_tune(socket.native_handle(), &address_);
                std::make_shared<connection<Protocol>>(std::move(socket))->read();
            }
            accept();
        });
    }

    typename Protocol::acceptor acceptor_;
    wire_address_t address_;
};

int main(int argc, char **argv)
{
    wire_address_t address = wire_parse(argc > 1 ? argv[1] : "");
    asio::io_context context(1);
    int fd = wire_listen(&address);
    if (address.tcp) {
        server<asio::ip::tcp> tcp(context, asio::ip::tcp::v4(), fd, address);
        wire_ready();
        context.run();
    } else {
        server<asio::local::stream_protocol> local(context, asio::local::stream_protocol(), fd, address);
        wire_ready();
        context.run();
    }
}
